"""The Helm chart, and the program that writes the files that depend on its values and options."""
