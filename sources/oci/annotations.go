package oci

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Annotations of files. They spare the next export a look at a manifest that
// has not changed, and inform a check of what is absent on purpose.
const (
	// referencesKey lists the carried parts of a manifest, in the annotations of its
	// line in the list: digests as hexadecimal digits, in the order of the manifest.
	// A list that is too long continues in referencesKey-2 and so on.
	// asideMark ends the digest of an attestation of an image.
	referencesKey = "references"
	asideMark     = "-"
	// absentKey has what an index leads to and is not carried, because its
	// platform was not chosen: "<hex>=<platform>", separated by ','.
	absentKey = "absent"
	// lostAttestation is written there in place of the platform of an attestation that the registry
	// does not have.
	lostAttestation = "attestation"
	// platformsKey has the choice that was made; without it: all.
	platformsKey = "platforms"
	// singleKey has the one image of an index that was chosen, where others
	// are absent: tags lead to it.
	singleKey = "single"
	// resolvedKey has the digest that upstream's tag has, on a tag that leads
	// to something else here: the one platform that was chosen of an index.
	resolvedKey = "resolved"
	// lackingKey has the chosen platforms that an index has no image for,
	// separated by ','.
	lackingKey = "lacking"
	// urlsKey has the URLs of a foreign layer, separated by blanks.
	urlsKey = "urls"
	// plainKey of a repository has the registries spoken to without TLS.
	plainKey = "plain-http"
)

// maxParts bounds in how many annotations a list of digests is written: the
// line of a file list has to hold them (bundle.MaxLineSize). A manifest with
// more is read each time.
const maxParts = 6

// annotate writes a list into as many annotations as it takes; ok is false,
// and nothing is written, if those would be too many.
func annotate(to map[string]string, key, separator string, list []string) (ok bool) {
	var parts []string
	var b strings.Builder
	for _, s := range list {
		if len(s) > bundle.MaxAnnotationSize {
			return false
		}
		if b.Len()+len(separator)+len(s) > bundle.MaxAnnotationSize {
			parts = append(parts, b.String())
			b.Reset()
		}
		if b.Len() > 0 {
			b.WriteString(separator)
		}
		b.WriteString(s)
	}
	parts = append(parts, b.String())
	if len(parts) > maxParts {
		return false
	}
	for i, p := range parts {
		to[partKey(key, i)] = p
	}
	return true
}

func partKey(key string, i int) string {
	if i == 0 {
		return key
	}
	return key + "-" + strconv.Itoa(i+1)
}

// drop takes out what annotate wrote.
func drop(from map[string]string, key string) {
	for i := range maxParts {
		delete(from, partKey(key, i))
	}
}

// annotated reads what annotate wrote; ok is false if there is no such list.
func annotated(from map[string]string, key, separator string) (list []string, ok bool) {
	for i := range maxParts {
		part, more := from[partKey(key, i)]
		if !more {
			break
		}
		if ok = true; part != "" {
			list = append(list, strings.Split(part, separator)...)
		}
	}
	return list, ok
}

// absence is a manifest that an index names and that was not chosen.
type absence struct {
	digest   bundle.Digest
	platform string
}

func (a absence) String() string { return a.digest.Hex() + "=" + a.platform }

func parseAbsence(s string) (absence, error) {
	hex, platform, _ := strings.Cut(s, "=")
	d, err := bundle.ParseHex(hex)
	if err != nil {
		return absence{}, fmt.Errorf("annotation %s: %w", absentKey, err)
	}
	return absence{d, platform}, nil
}

// absences reads absentKey.
func absences(annotations map[string]string) ([]absence, error) {
	list, _ := annotated(annotations, absentKey, ",")
	all := make([]absence, len(list))
	for i, s := range list {
		var err error
		if all[i], err = parseAbsence(s); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// clip bounds a value.
func clip(s string) string { return clipTo(s, bundle.MaxAnnotationSize) }
