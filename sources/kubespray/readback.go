package kubespray

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gapbundle/gapbundle/sources/rebuild"
)

// readBack reads the pins and the lists with the parsers that Check reads them with.
func (c *chosen) readBack(pinned, files, images []byte) error {
	return errors.Join(
		rebuild.ReadBack(pinsName, pinned, rebuild.Whole(func(content []byte) error {
			got, err := parsePins(content)
			if err == nil && len(got.Files) != len(c.pins.Files) {
				err = fmt.Errorf("files: want %d, got %d", len(c.pins.Files), len(got.Files))
			}
			return err
		})),
		rebuild.ReadBack(filesName, files, readLines(filesName, len(c.pins.Files), func(i int) string { return c.pins.Files[i].URL })),
		rebuild.ReadBack(imagesName, images, readLines(imagesName, len(c.images), func(i int) string { return c.images[i].text })),
	)
}

// readLines reads a list of n lines back.
func readLines(name string, n int, line func(i int) string) rebuild.Read {
	return rebuild.Whole(func(content []byte) error {
		got, err := parseList(name, content)
		if err != nil {
			return err
		}
		if len(got) != n {
			return fmt.Errorf("lines: want %d, got %d", n, len(got))
		}
		for i := range got {
			if got[i].text != line(i) {
				return fmt.Errorf("line %d: want %s, got %s", i+1, line(i), got[i].text)
			}
		}
		return nil
	})
}

// parsePins reads pins.json.
func parsePins(content []byte) (p pins, err error) {
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err = d.Decode(&p); err == nil && d.More() {
		err = errors.New("something follows its end")
	}
	return p, err
}
