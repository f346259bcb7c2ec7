package helm

import (
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/helm/pack"
)

// entries returns what a package is called. Description and appVersion are those of the
// index, or else of its Chart.yaml; of a package that was not read again they are those
// that the base recorded.
func (c *chart) entries(env *sources.Env) sources.EntryList {
	about := c.About
	if about == (pack.About{}) && c.info != nil {
		about = c.info.About()
	}
	if about == (pack.About{}) && c.info == nil {
		if recorded := c.base.named(env, c.of.entry.spec.Name)[c.file()]; recorded != "" {
			return recorded
		}
	}
	summary := about.Description
	if about.AppVersion != "" {
		summary = strings.TrimSuffix("app version "+about.AppVersion+"; "+summary, "; ")
	}
	return sources.NewEntries(sources.Entry{Name: c.Name, Type: bundle.TypeChart, Version: c.Version, Group: strings.TrimSuffix(c.from, "/"), Summary: summary})
}

// named returns what the base recorded by name of a source, by path.
func (b *base) named(env *sources.Env, source string) map[string]sources.EntryList {
	b.entries.Do(func() {
		b.byPath = map[string]sources.EntryList{}
		all, ok := env.Entries(source)
		if !ok {
			return
		}
		for at, err := range all {
			if err != nil {
				return // what is not known of a chart is left out
			}
			b.byPath[at.Path] = at.Entries
		}
	})
	return b.byPath
}

// reasons returns why images are carried: the charts that name them.
func (s *selection) reasons() map[string]string {
	all := map[string]string{}
	for _, c := range s.charts {
		why := "chart " + c.Name + " " + c.Version
		add := func(image string) {
			switch before := all[image]; {
			case before == "":
				all[image] = why
			case !strings.Contains(before+",", why+",") && len(before)+len(why) < bundle.MaxNameSize:
				all[image] = before + ", " + why
			}
		}
		if c.oci != "" {
			add(c.oci)
		}
		for _, r := range c.renders {
			for _, d := range r.Images {
				if d.As == nil {
					add(d.Image)
				}
				for _, image := range d.As {
					add(image)
				}
			}
		}
	}
	return all
}

// compareVersions orders chart versions, which are semantic ones.
func compareVersions(_, a, b string) int {
	x, errA := semver.NewVersion(a)
	y, errB := semver.NewVersion(b)
	if errA != nil || errB != nil {
		return strings.Compare(a, b)
	}
	return x.Compare(y)
}
