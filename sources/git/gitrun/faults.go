package gitrun

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// A fault is a message of git-fsck(1) about one object.
type fault struct {
	id      string // as git's configuration and messages have it
	reason  string // why it is tolerated; empty: it is not
	refused bool   // it names an attack on a checkout, and git alone would only warn
}

// faults returns the messages that are decided otherwise than by git's own
// severity. Whatever is not here stops when git calls it an error, and so does
// a message that this table does not know, when git calls it a warning.
func faults() []fault {
	const old = "written by old or foreign tools; git clones and shows it"
	tolerated := []fault{
		{id: "zeroPaddedFilemode", reason: "modes with a leading zero, written by early hosting services; git reads them"},
		{id: "badFilemode", reason: "modes such as 100600 of early tools; git checks them out as 100644"},
		{id: "badTimezone", reason: old}, {id: "badDate", reason: old}, {id: "badDateOverflow", reason: old}, {id: "zeroPaddedDate", reason: old},
		{id: "badEmail", reason: old}, {id: "badName", reason: old}, {id: "missingEmail", reason: old}, {id: "missingSpaceBeforeEmail", reason: old},
		{id: "missingNameBeforeEmail", reason: old}, {id: "missingSpaceBeforeDate", reason: old}, {id: "multipleAuthors", reason: old},
		{id: "nulInCommit", reason: old}, {id: "badTagName", reason: old}, {id: "missingTaggerEntry", reason: "tags of git before 2005 have no tagger"},
		{id: "extraHeaderEntry", reason: old}, {id: "gitmodulesParse", reason: "read again when submodules are looked for"},
	}
	var attacks []fault
	for _, id := range []string{
		"hasDot", "hasDotdot", "hasDotgit", "fullPathname", "emptyName", "nullSha1", "gitmodulesSymlink", "gitattributesSymlink",
		"gitignoreSymlink", "mailmapSymlink", "gitmodulesUrl", "gitmodulesPath", "gitmodulesName", "gitmodulesUpdate", "gitmodulesBlob", "gitmodulesMissing",
	} {
		attacks = append(attacks, fault{id: id, refused: true})
	}
	return append(tolerated, attacks...)
}

// faultConfiguration makes git judge as faults does, while it receives objects
// and when it is asked.
func faultConfiguration() []string {
	var config []string
	for _, f := range faults() {
		severity := "warn"
		if f.refused {
			severity = "error"
		}
		for _, command := range []string{"fsck", "fetch.fsck", "receive.fsck"} {
			config = append(config, command+"."+f.id, severity)
		}
	}
	return config
}

// Faults is what an examination found and tolerated: how often each message
// came, and the first object that has it.
type Faults map[string]*Fault

// Fault is one message that is tolerated.
type Fault struct {
	Count  int64
	Object string
}

// Notes returns sentences about the faults, one for each message.
func (f Faults) Notes() []string {
	var notes []string
	for _, id := range slices.Sorted(maps.Keys(f)) {
		reason := ""
		for _, known := range faults() {
			if strings.EqualFold(known.id, id) {
				reason = known.reason
			}
		}
		notes = append(notes, fmt.Sprintf("%d with the format error %s (%s first): %s", f[id].Count, id, f[id].Object, reason))
	}
	return notes
}

const maxFindings = 20 // what an error names, at most

// Examine runs "git fsck" over a repository: every object is read, and every
// link followed. Its error names what is missing, corrupt, or an attack.
// Faults of form that git clones with are returned.
func (d *Dir) Examine(ctx context.Context) (Faults, error) {
	x := &examination{found: Faults{}}
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- x.read(reader) }()
	err := d.Run(ctx, Call{Args: []string{"fsck", "--full", "--no-dangling", "--no-progress", "--no-reflogs"}, Stdout: writer, Stderr: writer})
	writer.Close()
	if read := <-done; read != nil {
		return nil, read
	}
	if len(x.refused) > 0 {
		return nil, fmt.Errorf("objects: %s", strings.Join(x.refused, "; "))
	}
	var failed *Error
	if errors.As(err, &failed) && x.only {
		err = nil // nothing but what is tolerated; git counts some of that as an error
	}
	return x.found, err
}

type examination struct {
	found   Faults
	refused []string
	only    bool // lines came, and all were tolerated
}

func (x *examination) read(r io.Reader) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		x.line(string(bytes.ToValidUTF8(scanner.Bytes(), []byte("?"))))
	}
	_, err := io.Copy(io.Discard, r)
	return errors.Join(scanner.Err(), err)
}

// line judges one line. Those about an object are "error in tree ID: messageID:
// text" and "warning in ...".
func (x *examination) line(line string) {
	rest, isError := strings.CutPrefix(line, "error in ")
	if !isError {
		rest, _ = strings.CutPrefix(line, "warning in ")
	}
	if len(rest) < len(line) {
		what, message, _ := strings.Cut(rest, ": ")
		id, _, _ := strings.Cut(message, ":")
		if toleratedFault(id) {
			x.only = true
			if f := x.found[id]; f != nil {
				f.Count++
			} else {
				x.found[id] = &Fault{Count: 1, Object: what}
			}
			return
		}
	} else if strings.HasPrefix(line, "notice: ") || strings.HasPrefix(line, "Checking ") || line == "" {
		return
	}
	if len(x.refused) < maxFindings {
		kept := &tail{}
		_, _ = kept.Write([]byte(line[:min(len(line), 300)])) // to memory
		x.refused = append(x.refused, kept.text())
	}
}

func toleratedFault(id string) bool {
	for _, f := range faults() {
		if strings.EqualFold(f.id, id) {
			return f.reason != ""
		}
	}
	return false
}
