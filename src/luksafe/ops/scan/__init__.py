"""Search disks, files and folders for LUKS headers, and say what they tell about volumes that were lost."""
