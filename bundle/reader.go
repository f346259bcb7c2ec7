package bundle

import (
	"io"
	"os"
)

// Reader is the bytes of one bundle as they lie on the media at hand.
type Reader struct{}

// MediumFile is a regular file of a bundle, opened for reading.
type MediumFile struct {
	file *os.File
	size int64
	dir  string
}

func (f *MediumFile) Read(b []byte) (int, error)             { return f.file.Read(b) }
func (f *MediumFile) ReadAt(b []byte, at int64) (int, error) { return f.file.ReadAt(b, at) }
func (f *MediumFile) Close() error                           { return f.file.Close() }
func (f *MediumFile) Size() int64                            { return f.size }
func (f *MediumFile) Dir() string                            { return f.dir }

// FileInfo is a name in a bundle's directory on one medium.
type FileInfo struct {
	Name    string
	Size    int64
	Dir     string
	Regular bool // false: a link, a folder, a device: never opened
}

// NamedFile is a small file, whole.
type NamedFile struct {
	Name string
	Data []byte
}

func Discover(paths []string) ([]*Reader, error)   { panic("not yet") }
func (r *Reader) Name() string                     { panic("not yet") }
func (r *Reader) Dirs() []string                   { panic("not yet") }
func (r *Reader) HasRoot() bool                    { panic("not yet") }
func (r *Reader) Root() ([]byte, error)            { panic("not yet") }
func (r *Reader) Signatures() ([]NamedFile, error) { panic("not yet") }
func (r *Reader) Sums() (io.ReadCloser, error)     { panic("not yet") }

// Open opens a file; of several media that have it, one with wantSize is preferred (-1: any).
func (r *Reader) Open(name string, wantSize int64) (*MediumFile, error) { panic("not yet") }
func (r *Reader) Has(name string, size int64) bool                      { panic("not yet") }
func (r *Reader) Files() ([]FileInfo, error)                            { panic("not yet") }
func (r *Reader) Close() error                                          { panic("not yet") }
