package bundle

import (
	"context"
	"io"
	"iter"
)

type Catalog struct{}

func NewCatalog(m *Manifest, open func(name string) (io.ReaderAt, int64, error)) (*Catalog, error) {
	panic("not yet")
}
func (c *Catalog) Volumes(ctx context.Context) iter.Seq2[Volume, error] { panic("not yet") }
func (c *Catalog) Frames(v Volume) iter.Seq2[Frame, error]              { panic("not yet") }
func (c *Catalog) Blobs(v Volume) iter.Seq2[Blob, error]                { panic("not yet") }
func (c *Catalog) Files(repo int) (io.ReadCloser, error)                { panic("not yet") }
func (c *Catalog) Evidence(repo int) (io.ReadCloser, error)             { panic("not yet") }
