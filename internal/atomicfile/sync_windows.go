package atomicfile

import "os"

// syncDir does nothing: Windows cannot flush a directory handle; NTFS journals the rename.
func syncDir(*os.Root) error { return nil }
