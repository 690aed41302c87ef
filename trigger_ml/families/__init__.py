"""Model families: layers from parameters, and the float twin's score; one file each."""
