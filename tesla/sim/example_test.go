package sim_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"tesla2mqtt/tesla/sim"
)

// A test that has no use for sockets calls the simulator in process.
func ExampleTesla_Client() {
	tesla := new(sim.Tesla)
	tesla.Add(sim.Car{Name: "Snowflake"})
	access, _ := tesla.Login()

	req, err := http.NewRequest(http.MethodGet, "https://owner-api.teslamotors.com/api/1/products", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+access)
	resp, err := tesla.Client().Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(resp.Status, strings.Contains(string(body), "Snowflake"), err)
	fmt.Println(tesla.Calls())
	// Output:
	// 200 OK true <nil>
	// map[products:1]
}

// A program that is a process of its own gets a server.
func ExampleTesla_ServeHTTP() {
	tesla := new(sim.Tesla)
	server := httptest.NewServer(tesla)
	defer server.Close()
	if err := tesla.Fault("429", sim.Times(1), sim.On("products")); err != nil {
		fmt.Println(err)
		return
	}
	resp, err := http.Get(server.URL + "/api/1/products")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status, resp.Header.Get("Retry-After"))
	// Output: 429 Too Many Requests 60
}

// Approve plays the person in front of the login page.
func ExampleTesla_Approve() {
	tesla := new(sim.Tesla)
	query := url.Values{
		"client_id": {"ownerapi"}, "redirect_uri": {"tesla://auth/callback"}, "response_type": {"code"},
		"scope": {"openid email offline_access"}, "state": {"abc"}, "code_challenge_method": {"S256"},
		"code_challenge": {"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"},
	}
	callback, err := tesla.Approve("https://auth.tesla.com/oauth2/v3/authorize?" + query.Encode())
	if err != nil {
		fmt.Println(err)
		return
	}
	u, err := url.Parse(callback)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(u.Scheme, u.Host, u.Path, u.Query().Get("state"), u.Query().Get("issuer"))
	// Output: tesla auth /callback abc https://auth.tesla.com/oauth2/v3
}
