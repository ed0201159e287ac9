package mqtt

import (
	"slices"
	"strings"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// matches tells whether a subscription to filter delivers topic. Topics that begin with $ belong to the broker and are
// not matched by a wildcard in the first level.
func matches(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") != strings.HasPrefix(filter, "$") {
		return false
	}
	for {
		want, moreFilter, deeperFilter := strings.Cut(filter, "/")
		if want == "#" {
			return true
		}
		have, moreTopic, deeperTopic := strings.Cut(topic, "/")
		if want != "+" && want != have {
			return false
		}
		if !deeperTopic {
			return !deeperFilter || moreFilter == "#" // "a/#" includes "a"
		}
		if !deeperFilter {
			return false
		}
		filter, topic = moreFilter, moreTopic
	}
}

// refusals are the filters of a subscription that the broker did not grant.
func refusals(token paho.Token) []string {
	t, ok := token.(*paho.SubscribeToken)
	if !ok {
		return nil
	}
	var refused []string
	for filter, qos := range t.Result() {
		if qos > 2 { // 0x80 by the standard
			refused = append(refused, filter)
		}
	}
	slices.Sort(refused)
	return refused
}
