"""`make bench`: the same build by hand, by Imagesmith and by Packer, side by side on one sandbox."""
