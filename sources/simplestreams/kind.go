package simplestreams

import (
	"net/url"
	"strings"

	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/rebuild"
	"github.com/gapbundle/gapbundle/sources/simplestreams/readers"
	"github.com/gapbundle/gapbundle/sources/simplestreams/streams"
)

// Name is the kind's name in a spec file, and its part of paths in a mirror.
const Name = "simplestreams"

// Kind returns the kind of mirrors of images.
func Kind() sources.Kind {
	return sources.Kind{
		Name:    Name,
		Doc:     "images for MAAS with their bootloaders, for LXD and for Incus",
		Options: func() any { return new(options) },
		New:     newSource,
		Check:   readers.Check,
		Compare: compareVersions,
		Clients: readers.Clients,
	}
}

// options are the kind's own part of an entry of the spec file.
type options struct {
	Pos         strictyaml.Pos
	URL         string           `yaml:"url" doc:"Address of the mirror, or of its index (.../streams/v1/index.sjson)."`
	Keyring     keyring.Entry    `yaml:"keyring" doc:"OpenPGP keys that may sign the index and the products, and no others."`
	Unsigned    bool             `yaml:"unsigned" doc:"The index has no signature: nothing but the connection vouches for it."`
	Filters     []streams.Filter `yaml:"filters,single" doc:"Filters of sstream-mirror, as in arch=amd64 or release~(jammy|noble); all of them have to hold."`
	Subarch     []string         `yaml:"subarch,single" doc:"Subarchitectures, as in ga-24.04; absent: all."`
	Newest      int              `yaml:"newest" doc:"How many versions of each product are carried; absent: 1 where something is chosen, otherwise all."`
	Bootloaders string           `yaml:"bootloaders" doc:"auto (those that MAAS uses for the chosen architectures), none or all; absent: auto."`
	Mode        rebuild.Mode     `yaml:"mode" doc:"verbatim or rebuilt; absent: rebuilt if something is chosen."`
}

// Values of the option bootloaders.
const (
	bootAuto = "auto"
	bootNone = "none"
	bootAll  = "all"
)

// entry is one spec: a repository of the mirror.
type entry struct {
	name    string
	mount   string
	pos     strictyaml.Pos
	options options
	root    string       // URL of the mirror, ends with a slash
	index   string       // path of the index below it
	keys    *keyring.Ref // nil: unsigned
	rebuilt bool
}

// source is all sources of this kind in a set.
type source struct{ entries []*entry }

func newSource(specs []sources.Spec) (sources.Source, error) {
	entries, err := sources.Entries(specs, newEntry)
	if err != nil {
		return nil, err
	}
	return &source{entries}, nil
}

func newEntry(spec sources.Spec, o options) (*entry, error) {
	e := &entry{name: spec.Name, mount: Name + "/" + spec.Name, pos: o.Pos, options: o}
	c := sources.Checks{Pos: o.Pos}
	var err error
	e.rebuilt, err = o.Mode.Decide(o.Pos, o.selects(), "filters, subarch, newest and bootloaders")
	c.Add(err, e.locate())
	switch {
	case o.Unsigned && !o.Keyring.IsZero():
		c.Refuse("source %s: unsigned: there is a keyring; want one of the two", e.name)
	case o.Unsigned:
	case o.Keyring.IsZero():
		c.Refuse("source %s: keyring: name the keys that may sign it, or unsigned: true for an index without a signature", e.name)
	default:
		e.keys, err = o.Keyring.Ref("keyring", spec.Dir)
		c.Add(err)
	}
	c.Newest(o.Newest, 0)
	bootloaders := o.Bootloaders // what is left out stays so: what the last export was made of has it so
	c.Word("bootloaders", &bootloaders, bootAuto, bootNone, bootAll)
	return e, c.Err()
}

// selects reports that the spec chooses among what upstream has.
func (o *options) selects() bool {
	return len(o.Filters)+len(o.Subarch) > 0 || o.Newest != 0 || o.Bootloaders == bootNone || o.Bootloaders == bootAll
}

// newest returns how many versions of each product a rebuilt source has.
func (o *options) newest() int { return max(o.Newest, 1) }

// locate finds the root of the mirror and its index from the URL of either.
func (e *entry) locate() error {
	o := &e.options
	refuse := func(format string, args ...any) error { return o.Pos.Errorf("url: "+format, args...) }
	if err := sources.CheckBaseURL(o.URL); err != nil {
		return refuse("%w", err)
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return refuse("%w", err)
	}
	e.index = "streams/v1/index.sjson"
	if o.Unsigned {
		e.index = "streams/v1/index.json"
	}
	e.root = strings.TrimSuffix(o.URL, "/") + "/"
	at := strings.LastIndex(u.Path, "/streams/")
	if at < 0 || !strings.HasSuffix(u.Path, "json") {
		return nil
	}
	e.index = u.Path[at+1:]
	e.root = o.URL[:strings.LastIndex(o.URL, "/streams/")+1]
	switch err := streams.CheckStreamPath(e.index); {
	case err != nil:
		return refuse("%w", err)
	case o.Unsigned && e.index == streams.Signed(e.index):
		return refuse("%s is a signed index: give its keyring in place of unsigned", e.index)
	case !o.Unsigned && e.index != streams.Signed(e.index):
		return refuse("%s has no signature: want the .sjson next to it, or unsigned: true", e.index)
	}
	return nil
}
