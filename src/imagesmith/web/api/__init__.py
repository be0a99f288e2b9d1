"""REST under `/imagesmith/api/v1`: one file a resource, thin; what they decide lies in the modules beside this folder."""
