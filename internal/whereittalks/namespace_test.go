//go:build linux

package whereittalks

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A copy of this test program learns by these variables what it is, where the binary is, and where its report goes.
const (
	stageKey  = "WHERE_IT_TALKS_STAGE"
	binaryKey = "WHERE_IT_TALKS_BINARY"
	reportKey = "WHERE_IT_TALKS_REPORT"
)

func TestMain(m *testing.M) {
	if os.Getenv(stageKey) == "stranger" {
		stranger()
		return
	}
	os.Exit(m.Run())
}

// inside tells whether this is the copy of the test that has namespaces of its own. If it is not, inside runs that copy and
// passes on what became of it.
func inside(t *testing.T) bool {
	t.Helper()
	if os.Getenv(stageKey) == "world" {
		return true
	}
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	for _, tool := range []string{"ip", "nft", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			cannot(t, err)
		}
	}
	report := filepath.Join(t.TempDir(), "report")
	twin := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=9m")
	twin.Env = append(os.Environ(), stageKey+"=world", binaryKey+"="+build(t), reportKey+"="+report)
	twin.SysProcAttr = apart()
	var output bytes.Buffer
	twin.Stdout, twin.Stderr = &output, &output
	if err := twin.Start(); err != nil {
		cannot(t, fmt.Errorf("new namespaces: %w", err))
	}
	err := twin.Wait()
	told := strings.ReplaceAll("\n"+output.String(), "\n", "\n| ")
	switch {
	case err != nil:
		t.Errorf("in the namespaces: %v%s", err, told)
	case strings.Contains(output.String(), "--- SKIP: "):
		t.Skip(told)
	}
	if text, err := os.ReadFile(report); err == nil {
		t.Logf("\n%s", text)
	} else if !t.Failed() {
		t.Errorf("the copy passed without a report%s", told)
	}
	return false
}

// apart makes a network and a file tree of one's own, as root or, where the system lets everybody, as anybody.
func apart() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return a
}

// cannot ends a test that this machine is not made for.
func cannot(t *testing.T, why error) {
	t.Helper()
	if os.Getenv("NETNS_REQUIRED") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// build makes the binary as for a release.
func build(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "tesla2mqtt")
	cmd := exec.Command("go", "build", "-trimpath", "-o", name, "tesla2mqtt/cmd/tesla2mqtt")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return name
}

// home is a network with nothing in it but what is started there.
type home struct{ pid string }

// newHome lives as long as the test: cat ends with its input.
func newHome(t *testing.T) home {
	t.Helper()
	keeper := exec.Command("cat")
	keeper.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	stdin, err := keeper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := keeper.Start(); err != nil {
		cannot(t, err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = keeper.Wait()
	})
	return home{strconv.Itoa(keeper.Process.Pid)}
}

// command runs in this network.
func (h home) command(words ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"-t", h.pid, "-n", "--"}, words...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// wire connects home and world by a cable. In the world every address there is belongs to it, so that whatever is dialled
// by whom ever answers.
func (h home) wire(t *testing.T) {
	t.Helper()
	feed(t, exec.Command("ip", "-batch", "-"), `link set lo up
link add world0 type veth peer name home0 netns `+h.pid+`
address add 192.0.2.1/24 dev world0
address add 2001:db8::1/64 dev world0 nodad
link set world0 up
route add local 0.0.0.0/0 dev lo table main
route add local ::/0 dev lo table main
`)
	feed(t, h.command("ip", "-batch", "-"), `link set lo up
address add 192.0.2.2/24 dev home0
address add 2001:db8::2/64 dev home0 nodad
link set home0 up
route add default via 192.0.2.1
route add default via 2001:db8::1
`)
}

// feed runs a command that reads what to do.
func feed(t *testing.T, cmd *exec.Cmd, text string) {
	t.Helper()
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		cannot(t, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, out))
	}
}

// replaceFile puts another file in the place of one of the system's, for this file tree only.
func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	own := filepath.Join(t.TempDir(), "own")
	if err := os.WriteFile(own, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(own, path, "", syscall.MS_BIND, ""); err != nil {
		cannot(t, fmt.Errorf("mount over %s: %w", path, err))
	}
}
