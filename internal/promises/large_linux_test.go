package promises

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gapbundle/gapbundle/internal/test/handmade"
)

// large returns bundles of a few hundred KiB that are large once they are decompressed or
// decoded, and claims that cost nothing to make.
func large() map[string]handmade.Bundle {
	one := []handmade.Repository{{Name: "a", Mount: "files", Files: handmade.Files(map[string]string{"h/x": "x", "h/y": "y"})}}
	all := map[string]handmade.Bundle{}
	add := func(name string, f func(*handmade.Bundle)) {
		b := handmade.Bundle{Repositories: one, Frame: 8 << 20}
		f(&b)
		all[name] = b
	}
	full := handmade.Object{}
	for i := range 15 {
		full[fmt.Sprint("k", i)] = strings.Repeat("x", 4000)
	}
	lines := func(n int, annotations any) func(l []handmade.Object) []handmade.Object {
		return func(l []handmade.Object) []handmade.Object {
			for len(l) < n {
				line := handmade.Object{"name": fmt.Sprintf("volume-%05d.tar.zst", len(l)+1)}
				for k, v := range l[0] {
					if k != "name" {
						line[k] = v
					}
				}
				if annotations != nil {
					line["annotations"] = annotations
				}
				l = append(l, line)
			}
			return l
		}
	}
	add("annotations of volumes", func(b *handmade.Bundle) { b.Volumes = lines(1050, full) })
	add("a table beyond its bound", func(b *handmade.Bundle) { b.Volumes = lines(3000, full) })
	add("all volumes there can be", func(b *handmade.Bundle) { b.Volumes = lines(65_535, nil) })
	add("a count of blobs", func(b *handmade.Bundle) {
		b.Line = func(member string, _ int, line handmade.Object) {
			if member == "volumes.jsonl" {
				line["blobCount"], line["raw"] = 20_000_000, int64(1)<<52
			}
		}
	})
	add("a count of files", func(b *handmade.Bundle) {
		b.Leave = []string{"x"}
		b.Described = func(r handmade.Object) { r["count"] = 19_999_999 }
	})
	add("a frame of 4 GiB", func(b *handmade.Bundle) {
		b.Root = func(root handmade.Object) {
			c := root["catalog"].(handmade.Array)[0].(handmade.Object)
			c["size"] = int64(1)<<32 - 2
			c["frames"].(handmade.Array)[0].(handmade.Object)["compressed"] = int64(1)<<32 - 2
		}
	})
	for name, text := range map[string]string{
		"repositories": `{},`, "catalog": `{},`, "keys": `{},`, "overrides": `"",`, "requires": `"",`, "annotations": `"":"",`,
	} {
		open, end := "[", "]"
		if name == "annotations" {
			open, end = "{", "}"
		}
		add("a root of "+name, func(b *handmade.Bundle) {
			b.RootText = func([]byte) []byte {
				most := strings.Repeat(text, (4<<20-200)/len(text))
				return []byte(`{"format":1,"sequence":1,"set":"demo","` + name + `":` + open + strings.TrimSuffix(most, ",") + end + `}`)
			}
		})
	}
	for name, text := range map[string]string{"frames": `{},`, "checks": `{},`, "mounts": `"",`, "nothing we know": `{},`} {
		add("entries with many "+name, func(b *handmade.Bundle) {
			b.RootText = func([]byte) []byte {
				most := strings.Repeat(text, (4<<20-200)/len(text))
				return []byte(`{"format":1,"sequence":1,"set":"demo","catalog":[{"` + name + `":[` + strings.TrimSuffix(most, ",") + `]}]}`)
			}
		})
	}
	add("lists side by side", func(b *handmade.Bundle) {
		b.Repositories = nil
		for i := range 4000 {
			b.Repositories = append(b.Repositories, handmade.Repository{
				Name: fmt.Sprintf("r%04d", i), Mount: "files", Files: handmade.Files(map[string]string{fmt.Sprintf("h%04d/x", i): "x", fmt.Sprintf("i%04d/y", i): "x"}),
			})
		}
		b.Line = func(member string, _ int, line handmade.Object) {
			if strings.HasPrefix(member, "files/") {
				line["annotations"] = handmade.Object{"a": strings.Repeat("x", 4000), "b": strings.Repeat("x", 4000), "c": strings.Repeat("x", 4000)}
			}
		}
	})
	return all
}

// makeEnv makes the test binary write a large bundle and end: a process that the test
// started has at least the memory of the test as its peak, so the test has to stay small.
const makeEnv = "GAPBUNDLE_PROMISES_MAKE"

// maker is the handmade.Test of that run.
type maker struct{}

func (maker) Helper()                   {}
func (maker) Fatal(args ...any)         { panic(fmt.Sprint(args...)) }
func (maker) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// writeLarge writes a bundle of large() below dir, unsigned and signed.
func writeLarge(name, dir string) {
	b, ok := large()[name]
	if !ok {
		panic(name)
	}
	key := handmade.NewKey(maker{})
	b.Write(maker{}, filepath.Join(dir, "unsigned"))
	b.Keys = []handmade.Key{key}
	b.Write(maker{}, filepath.Join(dir, "medium"))
	if err := os.WriteFile(filepath.Join(dir, "demo.pub"), []byte(key.PEM()), 0o644); err != nil {
		panic(err)
	}
}
