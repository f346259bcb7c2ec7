package bundle

import "fmt"

// The shape of a root is looked at before it is decoded: three bytes of text ("{},") are
// a struct of hundreds of bytes in memory, so that 4 MiB of them would be gigabytes.
const (
	// maxRootDepth is above the depth of every root: the frames of a catalogue file
	// are at depth 5.
	maxRootDepth = 16
	// maxObjectKeys is what an object has at most: the entries of annotations.
	maxObjectKeys = MaxAnnotations
)

// mostEntries returns how many entries the arrays of a root that hold objects have at most
// together, by the key of the array: a limit of the format, or what the text has room for.
func mostEntries(key string, text int) (most int, known bool) {
	const leastFrame, leastKey = 100, 64 // bytes of text
	switch key {
	case "repositories":
		return MaxRepositories, true
	case "catalog":
		return MaxCatalogFiles, true
	case "checks":
		return MaxChecks, true
	case "frames":
		return text / leastFrame, true
	case "keys":
		return text / leastKey, true
	}
	return 0, false
}

// container is an object or an array of the text.
type container struct {
	object bool
	key    string // of the value that it is, in the nearest object
	keys   int    // of an object: how many it has
}

// shape walks over the text of a root and holds nothing of it.
type shape struct {
	text    []byte
	at      int
	stack   [maxRootDepth]container
	depth   int
	last    string         // the last string
	key     string         // the last string that was a key
	entries map[string]int // objects in arrays, by the array's key
	names   int            // strings in arrays
}

// checkShape refuses a root that would take far more memory than its text. It does not
// require that the text is JSON: what it passes is decoded strictly. Errors match
// ErrMalformed.
func checkShape(text []byte) error {
	s := &shape{text: text, entries: map[string]int{}}
	for s.at < len(text) {
		c := text[s.at]
		s.at++
		var err error
		switch c {
		case '{', '[':
			err = s.enter(c == '{')
		case '}', ']':
			s.depth = max(0, s.depth-1)
		case '"':
			err = s.skipString()
		case ':':
			err = s.takeKey()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *shape) enter(object bool) error {
	if s.depth == maxRootDepth {
		return fmt.Errorf("%s: nested more than %d deep: %w", RootName, maxRootDepth, ErrMalformed)
	}
	inner := container{object: object, key: s.key}
	if s.depth > 0 && !s.stack[s.depth-1].object {
		inner.key = s.stack[s.depth-1].key
		if err := s.count(inner.key, object); err != nil {
			return err
		}
	}
	s.stack[s.depth] = inner
	s.depth++
	return nil
}

// count counts an object or array that is in an array.
func (s *shape) count(key string, object bool) error {
	most, known := mostEntries(key, len(s.text))
	if !known || !object {
		return fmt.Errorf("%s: %.80q: an array with entries that it does not have: %w", RootName, key, ErrMalformed)
	}
	s.entries[key]++
	if s.entries[key] > most {
		return fmt.Errorf("%s: %.80q: more than %s in %s: %w", RootName, key, Count(most, "entry"), Count(len(s.text), "byte"), ErrMalformed)
	}
	return nil
}

func (s *shape) takeKey() error {
	s.key = s.last
	if s.depth == 0 || !s.stack[s.depth-1].object {
		return nil // no JSON: the decoder reports it
	}
	top := &s.stack[s.depth-1]
	if top.keys++; top.keys > maxObjectKeys {
		return fmt.Errorf("%s: an object of more than %d keys: %w", RootName, maxObjectKeys, ErrMalformed)
	}
	return nil
}

// skipString leaves the string that begins here in last; a long one is no key.
func (s *shape) skipString() error {
	const longest = 64                   // bytes: no key of ours is as long
	const someNames, leastName = 1024, 6 // beyond some, a name has as much text
	from := s.at
	for ; s.at < len(s.text) && s.text[s.at] != '"'; s.at++ {
		if s.text[s.at] == '\\' {
			s.at++
		}
	}
	s.last = ""
	if end := min(s.at, len(s.text)); end-from <= longest {
		s.last = string(s.text[from:end])
	}
	s.at++
	if s.depth > 0 && !s.stack[s.depth-1].object {
		if s.names++; s.names > someNames+len(s.text)/leastName {
			return fmt.Errorf("%s: more than %s in arrays: %w", RootName, Count(s.names-1, "name"), ErrMalformed)
		}
	}
	return nil
}
