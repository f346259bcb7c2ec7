package galaxy

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/sources"
)

// clients writes ansible.cfg and the same as environment variables. ansible-galaxy asks all servers for
// a collection, and the first that has roles for a role.
func clients(_ context.Context, repos []bundle.Repository, _ sources.Tree) ([]sources.ClientFile, error) {
	var names []string
	var config, env bytes.Buffer
	for _, r := range repos {
		name := strings.ReplaceAll(sources.FileName(r.Name), "-", "_")
		names = append(names, name)
		address := sources.BaseMark + "/" + r.Mount + "/"
		fmt.Fprintf(&config, "\n[galaxy_server.%s]\nurl = %s\n", name, address)
		fmt.Fprintf(&env, "export ANSIBLE_GALAXY_SERVER_%s_URL=%s\n", strings.ToUpper(name), address)
	}
	list := strings.Join(names, ",")
	return []sources.ClientFile{
		{Path: "ansible/ansible.cfg", Content: append([]byte("# As /etc/ansible/ansible.cfg, or these sections in the one that is there.\n[galaxy]\nserver_list = "+list+"\n"), config.Bytes()...)},
		{Path: "ansible/galaxy.env", Content: append([]byte("# . galaxy.env: for ansible-galaxy started from this shell.\nexport ANSIBLE_GALAXY_SERVER_LIST="+list+"\n"), env.Bytes()...)},
	}, nil
}
