package config

// Reconcile compares the users of two sources.
type Reconcile struct {
	// Left and Right name sources of users.
	Left  string `yaml:"left"`
	Right string `yaml:"right"`
	// Scope says who is expected on both sides.
	Scope Scope `yaml:"scope"`
	// GroupMap names, for a group or role of the left, that of the right.
	GroupMap map[string]string `yaml:"group_map"`
	// Compare names what is compared; empty compares everything known.
	Compare []string `yaml:"compare"`
}

// Scope is who is expected on both sides. The zero value is everybody.
type Scope struct {
	Left  Side `yaml:"left"`
	Right Side `yaml:"right"`
}

// Side narrows one side of a scope.
type Side struct {
	// Connections to count; empty counts all.
	Connections []string `yaml:"connections"`
}

func (d *decoder) reconcile(to *Reconcile, v value) {
	d.mapping(v, table{
		"left":      d.text(&to.Left),
		"right":     d.text(&to.Right),
		"scope":     d.scope(&to.Scope),
		"group_map": d.textMap(&to.GroupMap),
		"compare":   d.texts(&to.Compare),
	})
}

func (d *decoder) scope(to *Scope) func(value) {
	return func(v value) {
		d.mapping(v, table{"left": d.side(&to.Left), "right": d.side(&to.Right)})
	}
}

func (d *decoder) side(to *Side) func(value) {
	return func(v value) {
		d.mapping(v, table{"connections": d.texts(&to.Connections)})
	}
}
