package mqtt

import "time"

// probation is how long an instance that stepped back has to be alone before it works again: longer than another one needs
// to come back when our connecting has ended its session.
const probation = 3 * time.Second

// probe only introduces us, after we have stepped back for another instance. If that one still lives it answers, or ends our
// session to have its own: then we have neither taken a command that it takes as well, nor said what is not so.
func (s *session) probe() {
	o := s.client.o
	s.probing = true
	if info := s.client.out.value(o.InfoTopic); info != nil {
		s.subscribe(map[string]byte{o.InfoTopic: 1})
		s.front = append(s.front, job{topic: o.InfoTopic, payload: info, retain: true})
	}
}
