package contents

import (
	"cmp"
	"container/heap"
	"iter"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Found is an entry and the repository that it is in.
type Found struct {
	Repository *Repository
	bundle.Entry
}

// Merge reads the contents lists of all repositories as one, in the order of
// bundle.CompareEntries; where that is equal, in the order of the repositories. A
// repository without a list has no entries. The sequence ends after the first error.
func Merge(repos []Repository) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		var heads entryHeap
		defer func() {
			for _, c := range heads {
				c.stop()
			}
		}()
		for i := range repos {
			if repos[i].Entries == nil {
				continue
			}
			c := openCursor(&repos[i], i)
			if err := c.advance(); err != nil {
				c.stop()
				yield(Found{}, err)
				return
			}
			if !c.done {
				heads = append(heads, c)
			}
		}
		heap.Init(&heads)
		for len(heads) > 0 {
			c := heads[0]
			if !yield(Found{c.repository, c.entry}, nil) {
				return
			}
			if err := c.advance(); err != nil {
				yield(Found{}, err)
				return
			}
			if c.done {
				heap.Pop(&heads)
			} else {
				heap.Fix(&heads, 0)
			}
		}
	}
}

// cursor is an open list and the entry at which it is.
type cursor struct {
	repository *Repository
	number     int
	entry      bundle.Entry
	done       bool
	next       func() (bundle.Entry, error, bool)
	stop       func()
}

func openCursor(r *Repository, number int) *cursor {
	c := &cursor{repository: r, number: number}
	c.next, c.stop = iter.Pull2(r.Entries())
	return c
}

// advance goes to the next entry. After the last one done is set.
func (c *cursor) advance() error {
	e, err, more := c.next()
	if !more || err != nil {
		c.done = true
		c.stop()
		return err
	}
	c.entry = e
	return nil
}

// entryHeap has the cursor with the first entry in front.
type entryHeap []*cursor

func (h entryHeap) Len() int      { return len(h) }
func (h entryHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h entryHeap) Less(i, j int) bool {
	return cmp.Or(bundle.CompareEntries(&h[i].entry, &h[j].entry), h[i].number-h[j].number) < 0
}
func (h *entryHeap) Push(c any) { *h = append(*h, c.(*cursor)) }
func (h *entryHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func compareNames(nameA, typeA, nameB, typeB string) int {
	return cmp.Or(strings.Compare(nameA, nameB), strings.Compare(typeA, typeB))
}
