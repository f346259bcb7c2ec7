package main

import (
	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/cmd/internal/command"
	"github.com/gapbundle/gapbundle/sources/config"
)

func stateFlag() cli.Flag {
	return command.Text("state", "`DIR` of the exporter's state; default: .gapbundle next to the spec")
}

func passphraseFlag() cli.Flag {
	return command.Number("passphrase-fd", "read the passphrase of the signing keys from descriptor `N`", command.NoDescriptor)
}

func sitePassphraseFlag() cli.Flag {
	return command.Number("site-passphrase-fd", "read the passphrase of the site key from descriptor `N`", command.NoDescriptor)
}

// byteSize is a flag value in bytes with a unit: "1GiB", "500MB".
type byteSize int64

func (b *byteSize) String() string {
	if *b == 0 {
		return ""
	}
	return command.HumanBytes(int64(*b))
}

func (b *byteSize) Set(s string) error {
	n, err := config.ParseSize(s)
	*b = byteSize(n)
	return err
}

// compressions are the levels of --compress by name.
var compressions = map[string]media.Compression{
	"fast": media.CompressionFast, "default": media.CompressionDefault, "best": media.CompressionBest,
}

func compressFlag() cli.Flag {
	return command.Parsed("compress", "`LEVEL` of compression; the default level is chosen for each part by what is in it", command.NewChoice("default", "fast", "best"))
}
