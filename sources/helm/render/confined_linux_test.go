package render

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/sources/helm/child"
	"github.com/gapbundle/gapbundle/sources/helm/helmtest"
)

// hostile returns a chart with one template and one value file.
func hostile(t *testing.T, template, values string) *child.Request {
	return &child.Request{
		Options: child.Options{Release: "r", Namespace: "n"},
		Chart: helmtest.Package(t, "h", map[string]string{
			"Chart.yaml": "apiVersion: v2\nname: h\nversion: 1.0.0\n", "values.yaml": values, "templates/t.yaml": template,
		}),
	}
}

// TestLimits: a template that never ends, or takes all memory or output, is
// ended and named, and the parent lives.
func TestLimits(t *testing.T) {
	runner := child.Runner{Program: helmtest.Program(t), Time: 2 * time.Minute}
	for name, c := range map[string]struct{ template, values, want string }{
		"a value that calls itself": {template: `{{ tpl .Values.x . }}`, values: `x: "{{ tpl .Values.x . }}"`, want: "memory"},
		"a string that is doubled":  {template: `{{ $s := "0123456789abcdef" }}{{ range until 40 }}{{ $s = printf "%s%s" $s $s }}{{ end }}`, want: "memory"},
		"a list of two billion":     {template: `{{ range until 2000000000 }}{{ end }}`, want: "memory"},
		"a long string":             {template: `a: {{ repeat 3000000000 "x" }}`, want: "memory"},
	} {
		t.Run(name, func(t *testing.T) {
			reply, err := runner.Render(t.Context(), hostile(t, c.template, c.values))
			var limit *child.Limit
			if !errors.As(err, &limit) || limit.What != c.want || limit.Template != "h/templates/t.yaml" {
				t.Errorf("got %v %v, want the limit of %s in h/templates/t.yaml", reply, err, c.want)
			}
		})
	}
	t.Run("never ends", func(t *testing.T) {
		short := child.Runner{Program: helmtest.Program(t), Time: 2 * time.Second}
		_, err := short.Render(t.Context(), hostile(t, `{{ range 9223372036854775807 }}{{ end }}`, ""))
		var limit *child.Limit
		if !errors.As(err, &limit) || limit.What != "time" || !strings.Contains(err.Error(), "the template h/templates/t.yaml takes more than 2s of time") {
			t.Error(err)
		}
	})
	t.Run("which template", func(t *testing.T) {
		short := child.Runner{Program: helmtest.Program(t), Time: 3 * time.Second}
		files := map[string]string{
			"Chart.yaml": "apiVersion: v2\nname: h\nversion: 1.0.0\n", "templates/_h.tpl": `{{ define "fine" }}a: {{ tpl "b" . }}{{ end }}`, "templates/a.yaml": `{{ include "fine" . }}`,
			"templates/deployment.yaml": `sum: {{ include (print $.Template.BasePath "/a.yaml") . | sha256sum }}`, "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
			"charts/sub/templates/endless.yaml": "{{ define \"forever\" }}{{ range 9223372036854775807 }}{{ end }}{{ end }}x: {{ include \"forever\" . }}",
		}
		_, err := short.Render(t.Context(), &child.Request{Options: child.Options{Release: "r", Namespace: "n"}, Chart: helmtest.Package(t, "h", files)})
		var limit *child.Limit
		if !errors.As(err, &limit) || limit.Template != "h/charts/sub/templates/endless.yaml" {
			t.Error(err)
		}
	})
	t.Run("output", func(t *testing.T) {
		q := hostile(t, `{{ $s := repeat 1048576 "x" }}{{ range until 80 }}{{ . }}: {{ $s }}{{ "\n" }}{{ end }}`, "")
		q.Documents = true
		reply, err := runner.Render(t.Context(), q)
		var limit *child.Limit
		if !errors.As(err, &limit) || limit.What != "output" {
			t.Errorf("%.1000v %v", reply, err)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := runner.Render(ctx, hostile(t, `{{ range 9223372036854775807 }}{{ end }}`, "")); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// TestBomb: documents in which a few aliases stand for billions of values are refused.
func TestBomb(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n" +
		"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n" +
		"g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n"
	runner := child.Runner{Program: helmtest.Program(t)}
	for _, text := range []string{bomb, "a: &a {b: *a}\n"} {
		reply, err := runner.Render(t.Context(), hostile(t, text, ""))
		if err != nil || reply.Error == "" {
			t.Errorf("got %+v %v", reply, err)
		}
	}
}

// TestConfined: whatever a chart asks for, the child opens no socket, no file
// but the runtime's own, and has no environment.
func TestConfined(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(`{"type": "integer"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GAPBUNDLE_SECRET", "seen")
	program := helmtest.Program(t)
	log := filepath.Join(t.TempDir(), "strace")
	wrapper := filepath.Join(t.TempDir(), "traced")
	script := "#!/bin/sh\nexec /usr/bin/strace -f -e trace=%network,%file,execve -o " + log + " " + program + " \"$@\"\n"
	if err := os.WriteFile(wrapper, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Fatal(err)
	}
	q := hostile(t, `{"host": {{ getHostByName "localhost" | quote }}, "lookup": {{ lookup "v1" "Pod" "" "" | toJson }}, "file": {{ .Files.Get "`+secret+`" | quote }}, "glob": {{ .Files.Glob "/etc/*" | toJson }}}`, "x: 1")
	q.Documents = true
	reply, err := child.Runner{Program: wrapper}.Render(t.Context(), q)
	want := `{"host": "", "lookup": {}, "file": "", "glob": {}}`
	if err != nil || reply.Error != "" || reply.Documents[0].Text != want {
		t.Errorf("got %+v %v, want %s", reply, err, want)
	}
	for _, function := range []string{"env", "expandenv"} {
		reply, err := child.Runner{Program: program}.Render(t.Context(), hostile(t, `{{ `+function+` "GAPBUNDLE_SECRET" }}`, ""))
		if err != nil || !strings.Contains(reply.Error, "not defined") {
			t.Errorf("%s: %+v %v", function, reply, err)
		}
	}
	for _, url := range []string{"file://" + secret, "http://" + server.Addr().String() + "/x"} {
		q := hostile(t, "a: 1", "x: 1")
		q.Chart = helmtest.Package(t, "h", map[string]string{
			"Chart.yaml": "apiVersion: v2\nname: h\nversion: 1.0.0\n", "values.yaml": "x: 1", "values.schema.json": `{"properties": {"x": {"$ref": "` + url + `"}}}`,
		})
		if reply, err := (child.Runner{Program: wrapper}).Render(t.Context(), q); err != nil || !strings.Contains(reply.Error, url) {
			t.Errorf("%s: %+v %v", url, reply, err)
		}
	}
	trace, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	// Before main: the loader, the runtime, the program's own file, and the progress bar's look for a terminal.
	allowed := []string{`(3, "", {`, program, "/dev/tty", "/proc/self/", "/sys/kernel/mm/", "/sys/devices/system/cpu", "/sys/fs/cgroup/", "/etc/localtime", "/usr/share/zoneinfo/", "/dev/null", "/lib/", "/etc/ld.so", "execve", "/usr/lib/"}
	calls := 0
	for line := range strings.Lines(string(trace)) {
		_, call, _ := strings.Cut(line, " ")
		if !strings.Contains(call, "(") || strings.Contains(call, "resumed>") || strings.HasPrefix(strings.TrimSpace(call), "---") {
			continue
		}
		calls++
		ok := false
		for _, a := range allowed {
			ok = ok || strings.Contains(call, a)
		}
		if !ok {
			t.Errorf("the child called %s", line)
		}
	}
	if calls == 0 {
		t.Error("nothing was traced")
	}
}
