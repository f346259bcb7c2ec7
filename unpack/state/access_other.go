//go:build !unix

package state

import (
	"io/fs"

	"github.com/gapbundle/gapbundle/bundle/durable"
)

// groupOf: files have no group here.
func groupOf(fs.FileInfo) int { return durable.NoGroup }
