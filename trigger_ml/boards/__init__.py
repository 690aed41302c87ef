"""Files that trigger boards play and record: link layouts, 64-bit words, EMP and APx formats."""
