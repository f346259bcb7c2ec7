package pypi

import (
	"context"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/pypi/pages"
)

// clients returns configuration files for each source and program. A source is an
// index of its own: no file has two, because clients would mix them.
func clients(_ context.Context, repos []bundle.Repository, _ sources.Tree) ([]sources.ClientFile, error) {
	var out []sources.ClientFile
	for _, r := range repos {
		name := sources.FileName(r.Name)
		index := sources.BaseMark + "/" + r.Mount + "/" + pages.SimpleDir
		add := func(path, text string) {
			out = append(out, sources.ClientFile{Path: path, Content: []byte(text)})
		}
		add("pip/"+name+".conf", "# ~/.config/pip/pip.conf or /etc/pip.conf\n[global]\nindex-url = "+index+"\n")
		add("pip/"+name+"-plain-http.conf", "# for a mirror by plain http: pip believes such a host only by name\n[global]\nindex-url = "+index+"\ntrusted-host = "+sources.HostMark+"\n")
		add("pip/"+name+".env", "# environment of pip and uv: set -a; . "+name+".env\nPIP_INDEX_URL="+index+"\nUV_DEFAULT_INDEX="+index+"\n")
		add("uv/"+name+".toml", "# ~/.config/uv/uv.toml or uv.toml next to a project\n[[index]]\nname = \""+name+"\"\nurl = \""+index+"\"\ndefault = true\n")
		add("poetry/"+name+".toml", "# for pyproject.toml\n[[tool.poetry.source]]\nname = \""+name+"\"\nurl = \""+index+"\"\npriority = \"primary\"\n")
		add("pdm/"+name+".toml", "# for pyproject.toml; the name pypi replaces the index that is built in\n[[tool.pdm.source]]\nname = \"pypi\"\nurl = \""+index+"\"\n")
	}
	return out, nil
}
