package pack

import "go.yaml.in/yaml/v3"

// About is what a chart states about itself for people.
type About struct{ Description, AppVersion string }

// About reads it from Chart.yaml; what is of another type than text is left out.
func (c *Chart) About() About {
	var m struct {
		Description yaml.Node `yaml:"description"`
		AppVersion  yaml.Node `yaml:"appVersion"`
	}
	if yaml.Unmarshal(c.Metadata, &m) != nil {
		return About{}
	}
	return About{m.Description.Value, m.AppVersion.Value}
}
