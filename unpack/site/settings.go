package site

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/unpack/site/settings"
)

// SettingsDir holds what points programs at everything that the mirror holds, over all sets.
// Each folder has the name by which people ask for it.
const SettingsDir = Dir + "/settings"

// settings writes them. It keeps of each list what the tables of names ask for; a list that
// did not change is not read again.
func (w *writer) settings() error {
	clients, err := fs.Sub(w.root.FS(), ClientsDir)
	if err != nil {
		return err
	}
	m := &settings.Mirror{
		Lookup: w.lookup, Base: baseWord, Host: hostWord, Insecure: insecureWord,
		Names: w.public.hostNames(), Clients: clients, ClientsAt: ClientsDir, Open: w.in.Open,
	}
	index, err := m.Index()
	if err != nil {
		return fmt.Errorf("client files, read for the settings over all sets: %w", err)
	}
	questions, err := index.Questions()
	if err != nil {
		return err
	}
	for i := range w.in.Sets {
		s := &w.in.Sets[i]
		for j := range s.Repositories {
			r := &s.Repositories[j]
			answers, err := w.answers(s.Name, r, index, questions)
			if err != nil {
				return fmt.Errorf("set %s, repository %s: %w", s.Name, r.Name, err)
			}
			index.Merge(answers)
		}
	}
	files, notes, err := settings.Write(m)
	if err != nil {
		return fmt.Errorf("settings over all sets: %w", err)
	}
	w.notes = append(w.notes, notes...)
	for _, text := range files {
		name, _, _ := strings.Cut(text.Path, "/")
		if _, err := fs.Stat(clients, name); err == nil {
			continue // a kind of that name knows more
		}
		err := w.file(SettingsDir+"/"+text.Path, func(out io.Writer) error {
			return Substitute(out, bytes.NewReader(text.Content), w.in.Base)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

const (
	// maxAnswersSize bounds the answers of a repository when they are read back.
	maxAnswersSize = 16 << 20 // bytes
	// answersForm is a part of the names of their files: those of another form are not read.
	answersForm = "2"
)

// answers returns those of one repository. Their file has a name that is a function of all that
// they follow from, so that the one of the generation before is as good as a new one.
func (w *writer) answers(set string, r *Repository, index *settings.Index, questions bundle.Digest) (settings.Answers, error) {
	list := string(r.Repository.Files.Digest)
	key := bundle.DigestOf([]byte(strings.Join([]string{answersForm, set, r.Name, r.Mount, list, w.in.Base, questions.String()}, "\x00")))
	name := fmt.Sprintf("%s/%s-%s.answers.json", inventoryDir, strings.ReplaceAll(r.Name, "/", "--"), key.Hex()[:16])
	if w.in.Link != nil && w.folder(inventoryDir) == nil && w.in.Link(name) == nil {
		if known, err := w.readAnswers(name); err == nil {
			return known, nil
		}
		if err := w.root.Remove(name); err != nil {
			return settings.Answers{}, err
		}
	}
	reader := index.Read()
	for f, err := range r.Files() {
		if err != nil {
			return settings.Answers{}, err
		}
		reader.Add(webPath(r.Mount, f.Path), f.Digest)
	}
	found := reader.Answers()
	b, err := json.Marshal(found)
	if err != nil {
		return found, err
	}
	return found, w.bytes(name, b)
}

func (w *writer) readAnswers(name string) (found settings.Answers, err error) {
	f, err := w.root.Open(name)
	if err != nil {
		return found, err
	}
	defer f.Close()
	b, err := bundle.ReadAllBounded(f, name, maxAnswersSize)
	if err != nil {
		return found, err
	}
	return found, json.Unmarshal(b, &found)
}

// lookup returns where a public address is: the place that the mirror answers with under its
// name, if it does, and the places of all sources that stand for it and are not answered for.
func (w *writer) lookup(address string) (all []settings.Place, answered bool) {
	line, at, answered := w.public.LookupURL(address)
	if answered {
		all = append(all, settings.Place{At: at, Source: line.Source})
	}
	_, rest, _ := strings.Cut(address, "://")
	host, path, _ := strings.Cut(rest, "/")
	for _, u := range w.public.Unanswered {
		below, fits := strings.CutPrefix("/"+path, u.Path)
		if u.Host != PublicHost(host) || !fits || below != "" && below[0] != '/' {
			continue
		}
		for _, c := range u.Claims {
			all = append(all, settings.Place{At: c.At + below, Source: c.Source})
		}
	}
	return all, answered
}

// hostNames returns the names, without ports and addresses, each once and sorted.
func (names *PublicNames) hostNames() (all []string) {
	for _, n := range names.Names {
		if name := hostOnly(n.Host); !isAddress(n.Host) && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}
