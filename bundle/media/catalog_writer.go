package media

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gapbundle/gapbundle/bundle"
)

// catalogMember is a list on its way into the catalogue.
type catalogMember struct {
	name string // in the archive
	what string // for messages
	d    v1.Descriptor
	// write writes what d describes.
	write func(w io.Writer) error
}

// catalogWriter writes catalogue files into a directory, one frame after the
// other, while the next ones are compressed.
type catalogWriter struct {
	w      *Writer
	root   *os.Root
	placer bundle.Placer
	files  []bundle.CatalogFile
	sums   []checksum // of files, for reading them back
	file   *os.File
	hash   hash.Hash
	job    *frameJob // being filled
	jobs   []*frameJob
}

// add writes a member. Content that is not what the descriptor states matches
// ErrCorrupt.
func (c *catalogWriter) add(ctx context.Context, m catalogMember) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.d.Size > bundle.MaxTarSize {
		return fmt.Errorf("%s: %s, a list of at most %d can be carried: %w", m.what, bundle.Count(m.d.Size, "byte"), int64(bundle.MaxTarSize), bundle.ErrUsage)
	}
	if begins := c.placer.Add(m.d.Size); begins || c.file == nil {
		if err := c.next(); err != nil {
			return err
		}
	}
	if _, err := c.Write(tarHeader(nil, m.name, m.d.Size)); err != nil {
		return err
	}
	in := &measured{w: c, hash: bundle.NewHash()}
	buffered := bufio.NewWriterSize(in, 64<<10)
	if err := m.write(buffered); err != nil {
		return fmt.Errorf("%s: %w", m.what, err)
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("%s: %w", m.what, err)
	}
	if got := bundle.Descriptor(m.d.MediaType, bundle.SumOf(in.hash), in.size); got.Digest != m.d.Digest || got.Size != m.d.Size {
		return fmt.Errorf("%s: want %s, %s, got %s, %s: %w", m.what, m.d.Digest, bundle.Count(m.d.Size, "byte"), got.Digest, bundle.Count(got.Size, "byte"), bundle.ErrCorrupt)
	}
	_, err := c.Write(tarPadding(nil, m.d.Size))
	return err
}

// measured digests and counts what is written through it.
type measured struct {
	w    io.Writer
	hash hash.Hash
	size int64
}

func (m *measured) Write(b []byte) (int, error) {
	_, _ = m.hash.Write(b)
	m.size += int64(len(b))
	return m.w.Write(b)
}

// Write cuts raw bytes into frames.
func (c *catalogWriter) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		if c.job == nil {
			c.job = <-c.w.frames
			if cap(c.job.raw) == 0 {
				c.job.raw = make([]byte, 0, frameRaw)
			}
			c.job.raw = c.job.raw[:0]
		}
		n := min(len(rest), catalogFrameRaw-len(c.job.raw))
		c.job.raw = append(c.job.raw, rest[:n]...)
		rest = rest[n:]
		if len(c.job.raw) == catalogFrameRaw {
			if err := c.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(b), nil
}

// flush has the frame compressed and writes the oldest, so that at most as
// many are in flight as there are compressors.
func (c *catalogWriter) flush() error {
	if c.job != nil && len(c.job.raw) > 0 {
		j := c.job
		c.job = nil
		go func() {
			j.coded, j.frame = c.w.compressor.frame(j.coded, j.raw)
			j.done <- struct{}{}
		}()
		c.jobs = append(c.jobs, j)
	}
	if len(c.jobs) <= c.w.o.Jobs {
		return nil
	}
	return c.writeOldest()
}

func (c *catalogWriter) writeOldest() error {
	j := c.jobs[0]
	c.jobs = slices.Delete(c.jobs, 0, 1)
	<-j.done
	defer func() { c.w.frames <- j }()
	if _, err := c.file.Write(j.coded); err != nil {
		return err
	}
	_, _ = c.hash.Write(j.coded)
	c.sums[len(c.sums)-1].add(j.coded)
	f := &c.files[len(c.files)-1]
	f.Frames = append(f.Frames, j.frame)
	if f.Size += j.frame.Compressed; f.Size >= bundle.MaxFileSize {
		return fmt.Errorf("%s: more than %d bytes: a list of this bundle is too large: %w", f.Name, int64(bundle.MaxFileSize), bundle.ErrUsage)
	}
	return nil
}

// next finishes the current file and begins another.
func (c *catalogWriter) next() error {
	if err := c.finish(); err != nil {
		return err
	}
	name := bundle.CatalogName(len(c.files) + 1)
	if len(c.files) == bundle.MaxCatalogFiles {
		return fmt.Errorf("catalogue: more than %d files: %w", bundle.MaxCatalogFiles, bundle.ErrUsage)
	}
	f, err := c.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	c.file, c.hash = f, bundle.NewHash()
	c.files, c.sums = append(c.files, bundle.CatalogFile{Name: name}), append(c.sums, 0)
	return nil
}

// finish ends the current file, durably.
func (c *catalogWriter) finish() error {
	if c.file == nil {
		return nil
	}
	if _, err := c.Write(make([]byte, bundle.TarTrailer)); err != nil {
		return err
	}
	if err := c.flush(); err != nil {
		return err
	}
	for len(c.jobs) > 0 {
		if err := c.writeOldest(); err != nil {
			return err
		}
	}
	c.files[len(c.files)-1].Digest = bundle.SumOf(c.hash)
	err := errors.Join(c.file.Sync(), c.file.Close())
	c.file = nil
	return err
}

// close takes back what is in flight after an error.
func (c *catalogWriter) close() {
	for _, j := range c.jobs {
		<-j.done
		c.w.frames <- j
	}
	if c.job != nil {
		c.w.frames <- c.job
	}
	if c.file != nil {
		c.file.Close()
	}
}

// writeCatalog writes the catalogue files into root and fills in what m states about them.
// It returns their checksums.
func (w *Writer) writeCatalog(ctx context.Context, root *os.Root, m *bundle.Manifest, volumes []*recordedVolume, lists []Lists) ([]checksum, error) {
	c := &catalogWriter{w: w, root: root}
	if err := c.write(ctx, m, volumes, lists); err != nil {
		return nil, err
	}
	m.Catalog = c.files
	return c.sums, syncDir(root)
}

func (c *catalogWriter) write(ctx context.Context, m *bundle.Manifest, volumes []*recordedVolume, lists []Lists) error {
	defer c.close()
	table := func(to *bundle.ListWriter[bundle.Volume]) error {
		for _, v := range volumes {
			if err := to.Write(v.Volume); err != nil {
				return err
			}
		}
		return nil
	}
	sum := bundle.NewListWriter[bundle.Volume](io.Discard)
	if err := table(sum); err != nil {
		return err
	}
	m.Volumes = sum.Descriptor(bundle.MediaTypeVolumeTable)
	err := c.add(ctx, catalogMember{volumeTableName, "volume table", m.Volumes, func(to io.Writer) error {
		return table(bundle.NewListWriter[bundle.Volume](to))
	}})
	if err != nil {
		return err
	}
	for _, v := range volumes {
		if err := c.addTables(ctx, v); err != nil {
			return err
		}
	}
	for i, r := range m.Repositories {
		if open := lists[i].Files; open != nil {
			if err := c.addList(ctx, listName("files", i, r.Name), "repository "+r.Name+": file list", r.Files, open); err != nil {
				return err
			}
		}
	}
	for i, r := range m.Repositories {
		if open := lists[i].Evidence; open != nil {
			if err := c.addList(ctx, listName("evidence", i, r.Name), "repository "+r.Name+": evidence list", r.Evidence, open); err != nil {
				return err
			}
		}
	}
	if err := c.addContents(ctx, m.Repositories, lists); err != nil {
		return err
	}
	return c.finish()
}

func (c *catalogWriter) addContents(ctx context.Context, repos []bundle.Repository, lists []Lists) error {
	for i, r := range repos {
		open := lists[i].Contents
		if open == nil || r.Contents == nil {
			continue
		}
		if err := c.addList(ctx, listName("contents", i, r.Name), "repository "+r.Name+": contents list", *r.Contents, open); err != nil {
			return err
		}
	}
	return nil
}

func (c *catalogWriter) addTables(ctx context.Context, v *recordedVolume) error {
	err := c.add(ctx, catalogMember{frameIndexName(v.Name), v.Name + ": frame index", v.Frames, func(to io.Writer) error {
		return writeLines(bundle.NewListWriter[bundle.Frame](to), v.frames())
	}})
	if err != nil {
		return err
	}
	return c.add(ctx, catalogMember{blobTableName(v.Name), v.Name + ": blob table", v.Volume.Blobs, func(to io.Writer) error {
		return writeLines(bundle.NewListWriter[bundle.Blob](to), v.blobs())
	}})
}

func (c *catalogWriter) addList(ctx context.Context, name, what string, d v1.Descriptor, open func() (io.ReadCloser, error)) error {
	return c.add(ctx, catalogMember{name, what, d, func(to io.Writer) error {
		r, err := open()
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(to, r)
		return err
	}})
}

const volumeTableName = "volumes.jsonl"

func frameIndexName(volume string) string { return "frames/" + memberStem(volume) + ".jsonl" }

func blobTableName(volume string) string { return "blobs/" + memberStem(volume) + ".jsonl" }

// memberStem returns the number in the name of a volume.
func memberStem(volume string) string {
	const before, after = len("volume-"), len(".tar.zst")
	return volume[before : len(volume)-after]
}

// listName names the list of the i-th repository. A repository's name, which
// may not fit into a header, follows the number only if it does.
func listName(kind string, i int, repo string) string {
	name := fmt.Sprintf("%s/%s.jsonl", kind, repo)
	if len(name) > maxTarName {
		name = fmt.Sprintf("%s/%04d.jsonl", kind, i)
	}
	return name
}

const (
	// catalogFrameRaw is small next to frameRaw, because readers of many
	// lists at once hold a frame of each.
	catalogFrameRaw = 1 << 20 // bytes
	// maxTarName is the room for a name in a ustar header, without prefix.
	maxTarName = 100 // bytes
)
