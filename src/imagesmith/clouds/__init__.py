"""One driver per cloud type, each behind the port `imagesmith.core.Cloud`."""
