"""A fault in the product, for the test that the kill matrix finds it: no look for the server of an earlier try.

Python imports this module by itself in every process that has this folder on its path.
"""

from imagesmith.clouds import openstack_launch

openstack_launch.Launching._launched = lambda self, name: ""
