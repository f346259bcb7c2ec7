package bundle

import "iter"

// Changes counts how the files of a repository differ from those that it had before, by
// their paths.
type Changes struct {
	Added   int64 `json:"added,omitempty"`
	Changed int64 `json:"changed,omitempty"`
	Removed int64 `json:"removed,omitempty"`
	// Before is how many files there were.
	Before int64 `json:"before,omitempty"`
}

// Any reports whether there is a difference.
func (c Changes) Any() bool { return c.Added+c.Changed+c.Removed > 0 }

// Plus adds two counts.
func (c Changes) Plus(o Changes) Changes {
	return Changes{c.Added + o.Added, c.Changed + o.Changed, c.Removed + o.Removed, c.Before + o.Before}
}

// Differ compares the files of a repository with those that it had before. Both come in
// the order of their paths, and neither is held in memory. It is for one goroutine;
// Finish ends it.
type Differ struct {
	next    func() (File, error, bool)
	stop    func()
	current File
	at      bool // current is the next file of before
	counts  Changes
}

// NewDiffer begins with the list of before.
func NewDiffer(before iter.Seq2[File, error]) *Differ {
	d := &Differ{}
	d.next, d.stop = iter.Pull2(before)
	return d
}

// advance takes the next file of before; current is not valid after the last.
func (d *Differ) advance() (ok bool, err error) {
	if d.at {
		return true, nil
	}
	if d.current, err, d.at = d.next(); !d.at {
		return false, nil
	}
	if err != nil {
		d.at = false
		return false, err
	}
	d.counts.Before++
	return true, nil
}

// See takes the next file that there is now. One whose digest is not known yet counts as
// unchanged.
func (d *Differ) See(f File) error {
	for {
		ok, err := d.advance()
		if err != nil {
			return err
		}
		order := 1
		if ok {
			order = ComparePaths(d.current.Path, f.Path)
		}
		switch {
		case order > 0:
			d.counts.Added++
			return nil
		case order < 0:
			d.counts.Removed++
			d.at = false
			continue
		case !f.Digest.IsZero() && f.Digest != d.current.Digest:
			d.counts.Changed++
		}
		d.at = false
		return nil
	}
}

// Finish counts what is left of before, and returns the counts.
func (d *Differ) Finish() (Changes, error) {
	defer d.stop()
	for {
		ok, err := d.advance()
		if !ok || err != nil {
			return d.counts, err
		}
		d.counts.Removed++
		d.at = false
	}
}

// CompareFiles compares two lists of files, each in the order of its paths.
func CompareFiles(before, after iter.Seq2[File, error]) (Changes, error) {
	d := NewDiffer(before)
	for f, err := range after {
		if err == nil {
			err = d.See(f)
		}
		if err != nil {
			d.stop()
			return Changes{}, err
		}
	}
	return d.Finish()
}
