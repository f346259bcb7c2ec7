package bundle

// Progress learns how work advances. Implementations are safe for concurrent
// use. nil is never passed on: use NoProgress.
type Progress interface {
	// Grow reports that the total is larger by that many bytes.
	Grow(bytes int64)
	// Add reports that this many bytes more are done; negative when work turned
	// out to be in vain and is done again.
	Add(bytes int64)
	// Item names what is worked on now.
	Item(name string)
}

// NoProgress is a Progress that nobody watches.
var NoProgress Progress = noProgress{}

type noProgress struct{}

func (noProgress) Grow(int64)  {}
func (noProgress) Add(int64)   {}
func (noProgress) Item(string) {}
