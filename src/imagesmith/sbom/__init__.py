"""Bills of materials: an image's inventory in the formats that others read, made by those formats' own libraries.

The libraries take most of a second to load, so nothing but the command that writes such a file imports these modules.
"""
