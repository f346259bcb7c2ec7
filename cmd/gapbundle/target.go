package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gapbundle/gapbundle/cmd/internal/command"
)

// target is where an export is going to write, as the operating system sees it.
type target struct {
	Dir string `json:"dir"`
	// FileSystem is its type, Device what is mounted; empty: not known here.
	FileSystem string `json:"fileSystem,omitempty"`
	Device     string `json:"device,omitempty"`
	// Free is in bytes; -1: not known here.
	Free int64 `json:"free"`
	// SameAsRoot means that it is on the device of /: a stick that was
	// forgotten to be mounted looks like this.
	SameAsRoot bool `json:"sameAsRoot,omitempty"`
}

// sameAsRoot is the note about a target on the file system of /.
const sameAsRoot = "on the same device as /; is the medium mounted?"

func (t target) String() string {
	free := "free space not known"
	if t.Free >= 0 {
		free = command.HumanBytes(t.Free) + " free"
	}
	return fmt.Sprintf("%s: %s on %s, %s", t.Dir, command.FirstOf(t.FileSystem, "file system"), command.FirstOf(t.Device, "an unknown device"), free)
}

// targetsOf looks at each target. One that does not exist yet is looked at by
// the folder it will be made in, which has to exist.
func targetsOf(dirs []string) ([]target, error) {
	var all []target
	for _, dir := range dirs {
		if dir == "" {
			return nil, command.Usage("target: its name is empty", "give it as --to DIR")
		}
		at := dir
		info, err := os.Stat(at)
		if errors.Is(err, fs.ErrNotExist) {
			at = filepath.Dir(filepath.Clean(dir))
			info, err = os.Stat(at)
		}
		if err != nil {
			return nil, fmt.Errorf("target %s: %w", dir, err)
		}
		if !info.IsDir() {
			return nil, command.Usage(fmt.Sprintf("target %s: not a directory", dir), "name a directory on the medium")
		}
		t := target{Dir: dir, Free: -1}
		t.look(at)
		all = append(all, t)
	}
	return all, nil
}
