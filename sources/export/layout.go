package export

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/bundle/media"
	"github.com/gapbundle/gapbundle/sources/collect"
)

// layout is how a bundle is cut into volumes, and what fits on which target.
type layout struct {
	load   media.Load
	spaces []media.Space // of the targets; nil: not known
	fit    media.Fit
	// chosen means that the volume size follows from the free space.
	chosen bool
	// inOrder means that volumes are written one after the other: then media with little
	// room can be filled, and a full one is done with when the next is asked for.
	inOrder bool
}

const (
	// tailNeed is what the last volume needs at least where every artifact has a size: it
	// holds client files and made indexes.
	tailNeed = 4 << 20 // bytes
	// listsOfFile is what the lists take at most of each file, compressed: 87 bytes were
	// measured for short paths, and digests do not shrink.
	listsOfFile = 192 // bytes
	// listsLeast is what catalogue, root and sums take of a small bundle.
	listsLeast = 256 << 10 // bytes
	// atOnce is how many volumes are written at once where there is room for them.
	atOnce = 5
	// mostSizes is how many volume sizes are tried where the usual one does not fit.
	mostSizes = 3
)

// layOut surveys the plan. If no volume size is requested and volumes of the usual size do
// not fit on the targets, it chooses a size with which they fit. If there is none, it chooses
// one that fills media like the last target.
func layOut(in *opened, resolved *collect.Resolved, o collect.SurveyOptions) (*collect.Survey, *layout, error) {
	l := &layout{}
	own, begun, err := in.ownVolumes()
	if err != nil {
		return nil, nil, err
	}
	if l.spaces, err = media.Spaces(in.o.Targets); err != nil {
		return nil, nil, err
	}
	for i := range l.spaces {
		l.spaces[i].Free += own[i]
	}
	size, fixed := in.o.VolumeSize, in.o.VolumeSize > 0
	if begun > 0 && !fixed && slices.ContainsFunc(l.spaces, func(at media.Space) bool { return at.Capacity > begun+begun/32 }) {
		size, fixed = begun, true
	}
	if size == 0 {
		size = bundle.DefaultVolumeSize
	}
	l.chosen = fixed && in.o.VolumeSize == 0 && size != bundle.DefaultVolumeSize
	survey, err := l.survey(resolved, o, size)
	if err == nil && !fixed && l.fit.Left > 0 {
		survey, err = l.chooseSize(resolved, o, survey)
	}
	if err != nil {
		return nil, nil, err
	}
	l.inOrder = l.spaces != nil && !l.load.Roomy(l.spaces, atOnce)
	return survey, l, nil
}

// chooseSize tries smaller volumes than those of survey: the first with which everything fits,
// or else those that leave least.
func (l *layout) chooseSize(resolved *collect.Resolved, o collect.SurveyOptions, survey *collect.Survey) (_ *collect.Survey, err error) {
	sizes := l.load.Sizes(l.spaces)
	if len(sizes) > mostSizes { // each size is a look at every artifact
		sizes = []int64{sizes[0], sizes[len(sizes)/2], sizes[len(sizes)-1]}
	}
	best, left := int64(0), int64(0)
	for _, size := range sizes {
		if survey, err = l.survey(resolved, o, size); err != nil {
			return nil, err
		}
		if l.chosen = true; l.fit.Left == 0 {
			return survey, nil
		}
		if best == 0 || l.fit.Left < left {
			best, left = size, l.fit.Left
		}
	}
	if best == 0 || best == l.load.VolumeSize {
		return survey, nil
	}
	return l.survey(resolved, o, best)
}

// survey looks at every artifact, with volumes of one size.
func (l *layout) survey(resolved *collect.Resolved, o collect.SurveyOptions, size int64) (*collect.Survey, error) {
	o.VolumeSize = size
	survey, err := resolved.Survey(o)
	if err != nil {
		return nil, err
	}
	total := survey.Total()
	l.load = media.Load{VolumeSize: size, Runs: survey.Runs}
	l.load.Lists = listsLeast + listsOfFile*total.Files + l.load.Raw()>>16
	switch {
	case total.Unsized > 0:
		l.load.Tail = size
	case total.Fetch > 0:
		l.load.Tail = min(size, tailNeed)
	}
	l.fit = l.load.Fit(l.spaces)
	return survey, nil
}

// ownVolumes returns the bytes that volumes of the interrupted export that is continued take
// on each target, and their volume size; 0: there are none.
func (in *opened) ownVolumes() (bytes []int64, size int64, err error) {
	bytes = make([]int64, len(in.o.Targets))
	p := in.ledger.Pending()
	if p == nil || len(in.o.Targets) == 0 {
		return bytes, 0, nil
	}
	if in.o.writes { // a plan has no keys, which are part of the request
		request, err := in.request()
		if err != nil || request != p.Request {
			return bytes, 0, err
		}
	}
	for i, target := range in.o.Targets {
		entries, err := os.ReadDir(filepath.Join(target, bundle.DirName(in.spec.Set, p.Sequence)+bundle.PartialSuffix))
		if err != nil {
			continue // none was begun there; what cannot be read is named when it is written to
		}
		for _, e := range entries {
			info, err := e.Info()
			if _, ours := bundle.VolumeNumber(e.Name()); err != nil || !info.Mode().IsRegular() || !ours {
				continue
			}
			bytes[i] += info.Size()
			if size = p.VolumeSize; size == 0 {
				size = bundle.DefaultVolumeSize
			}
		}
	}
	return bytes, size, nil
}

// MediaPlan is what fits on which target if nothing shrinks when it is compressed.
type MediaPlan struct {
	// VolumeSize is what no volume reaches, in bytes; Chosen: it follows from the free
	// space of the targets.
	VolumeSize int64 `json:"volumeSize"`
	Chosen     bool  `json:"chosen,omitempty"`
	// Targets are in the order in which they were given.
	Targets []TargetShare `json:"targets"`
	// LeftBytes is what fits on none of them, and MoreMedia how many media of the
	// capacity of the last target (MediumBytes) that takes. Media counts all.
	LeftBytes   int64 `json:"leftBytes,omitempty"`
	MoreMedia   int   `json:"moreMedia,omitempty"`
	MediumBytes int64 `json:"mediumBytes"`
	Media       int   `json:"media"`
}

// TargetShare is what one target gets.
type TargetShare struct {
	Dir string `json:"dir"`
	media.Share
}

// mediaPlan returns nil where there are no targets, or their room is not known.
func (l *layout) mediaPlan(targets []string) *MediaPlan {
	if len(l.fit.Shares) == 0 {
		return nil
	}
	m := &MediaPlan{
		VolumeSize: l.load.VolumeSize, Chosen: l.chosen, LeftBytes: l.fit.Left, MoreMedia: l.fit.More,
		MediumBytes: l.spaces[len(l.spaces)-1].Capacity,
	}
	for i, share := range l.fit.Shares {
		m.Targets = append(m.Targets, TargetShare{targets[i], share})
		if share.Volumes > 0 {
			m.Media++
		}
	}
	m.Media += m.MoreMedia
	return m
}
