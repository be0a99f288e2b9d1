"""REST under `/imagesmith/api/v1`: one thin file a resource; what they decide lies beside this folder."""
