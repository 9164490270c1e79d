// Which addresses and base URLs may be called. Nothing here opens a connection.
#include <arpa/inet.h>

#include <optional>
#include <string>

#include <doctest/doctest.h>

#include <backstitch/http/egress.hpp>
#include <backstitch/http/egress_proxy.hpp>

namespace backstitch::test {
namespace {

using http::EgressPolicy;
using http::EgressProxy;
using http::IpAddress;
using http::Reach;

IpAddress parsed(const std::string& text) {
  IpAddress address;
  address.is_v6 = text.find(':') != std::string::npos;
  REQUIRE(::inet_pton(address.is_v6 ? AF_INET6 : AF_INET, text.c_str(), address.bytes.data()) == 1);
  return address;
}

TEST_CASE("an address of a special-purpose range is closed, and its neighbours are not") {
  struct Row {
    const char* first;
    const char* last;
    const char* before;  ///< empty: closed, too
    const char* after;
  };
  for (const Row& row :
       {Row{"0.0.0.0", "0.255.255.255", "", "1.0.0.0"},
        Row{"10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"},
        Row{"100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"},
        Row{"169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"},
        Row{"172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"},
        Row{"192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"},
        Row{"192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"},
        Row{"192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0"},
        Row{"192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"},
        Row{"198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"},
        Row{"198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"},
        Row{"203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"},
        Row{"224.0.0.0", "255.255.255.255", "223.255.255.255", ""},
        Row{"2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2000:ffff::", "2001:200::"},
        Row{"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7::", "2001:db9::"},
        Row{"2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:ffff:ffff::", "2003::"},
        Row{"3fff::", "3fff:0fff:ffff:ffff:ffff:ffff:ffff:ffff", "", "3fff:1000::"},
        Row{"4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:ffff::", ""}}) {
    CAPTURE(row.first);
    CHECK(reach_of(parsed(row.first)) == Reach::closed);
    CHECK(reach_of(parsed(row.last)) == Reach::closed);
    for (const std::string neighbour : {row.before, row.after})
      if (!neighbour.empty()) CHECK(reach_of(parsed(neighbour)) == Reach::open);
  }
}

TEST_CASE("an address of IPv6 that translates, tunnels or is scoped is closed") {
  for (const char* text : {"::",
                           "::2",
                           "::7f00:1",
                           "::8.8.8.8",
                           "::ffff:0:8.8.8.8",
                           "::ffff:0:127.0.0.1",
                           "64:ff9b::8.8.8.8",
                           "64:ff9b::127.0.0.1",
                           "64:ff9b:1::1",
                           "100::1",
                           "100:0:0:1::1",
                           "2001::1",
                           "2001:0:808:808::",
                           "2002:7f00:1::1",
                           "5f00::1",
                           "fc00::1",
                           "fd12::1",
                           "fe80::1",
                           "febf::1",
                           "fec0::1",
                           "feff::1",
                           "ff02::1",
                           "1000::1"}) {
    CAPTURE(text);
    CHECK(reach_of(parsed(text)) == Reach::closed);
  }
  IpAddress scoped = parsed("2606:4700::1");
  CHECK(reach_of(scoped) == Reach::open);
  scoped.scope = 2;
  CHECK(reach_of(scoped) == Reach::closed);
  IpAddress loopback = parsed("::1");
  loopback.scope = 1;
  CHECK(reach_of(loopback) == Reach::closed);
}

TEST_CASE("an address of IPv4 that is written as one of IPv6 is judged as the one it leads to") {
  CHECK(reach_of(parsed("::ffff:8.8.8.8")) == Reach::open);
  CHECK(reach_of(parsed("::ffff:10.0.0.1")) == Reach::closed);
  CHECK(reach_of(parsed("::ffff:127.0.0.1")) == Reach::loopback);
  CHECK(reach_of(parsed("127.255.255.254")) == Reach::loopback);
  CHECK(reach_of(parsed("::1")) == Reach::loopback);
}

TEST_CASE("a base URL is judged before its name is resolved") {
  const EgressPolicy strict({});
  for (const char* allowed :
       {"https://shop.example", "https://8.8.8.8:8443/api", "https://[2606:4700::1]",
        "https://1.shop.example", "https://localhost.example", "https://notlocalhost"})
    CHECK_MESSAGE(strict.check_url(allowed).empty(), allowed);
  for (const char* refused : {"http://shop.example",
                              "https://127.0.0.1",
                              "https://localhost",
                              "https://LOCALHOST",
                              "https://localhost.",
                              "https://db.localhost",
                              "https://10.0.0.1",
                              "https://[::1]",
                              "https://[::ffff:127.0.0.1]",
                              "https://[64:ff9b::a00:1]",
                              "https://[2002:a00:1::]",
                              "https://127.1",
                              "https://2130706433",
                              "https://0x7f000001",
                              "https://0x7f.1",
                              "https://017700000001",
                              "https://10.1.",
                              "https://[fe80::1%25eth0]",
                              "https://[::1",
                              "https://a@b",
                              "ftp://shop.example"})
    CHECK_MESSAGE(!strict.check_url(refused).empty(), refused);
}

TEST_CASE(
    "loopback is open where it is allowed, and a host that is allowed however it is written") {
  const EgressPolicy dev(
      {.allow_hosts = {"Inside.example:8080", "10.0.0.1"}, .allow_loopback_http = true});
  CHECK(dev.check_url("http://127.0.0.1:7501").empty());
  CHECK(dev.check_url("http://localhost:7501").empty());
  CHECK(dev.check_url("http://inside.EXAMPLE:8080").empty());
  CHECK_FALSE(dev.check_url("http://inside.example:8081").empty());
  CHECK(dev.check_url("http://10.0.0.1:99").empty());
  CHECK_FALSE(dev.check_url("http://10.0.0.2").empty());
  CHECK(dev.check_address("x.example", 443, parsed("127.0.0.1")).empty());
  CHECK(dev.check_address("x.example", 443, parsed("8.8.8.8")).empty());
  CHECK(dev.check_address("x.example", 443, parsed("10.0.0.2")).find("10.0.0.2") !=
        std::string::npos);
  CHECK(dev.check_address("inside.example", 8080, parsed("10.0.0.2")).empty());
  CHECK_FALSE(EgressPolicy({}).check_address("x.example", 443, parsed("127.0.0.1")).empty());
}

TEST_CASE("the proxy of the node is for every host but loopback and those that are named") {
  const auto proxy = EgressProxy::of(
      "http://proxy.example:3128",
      {"corp.example", ".lab.example", "10.0.0.1", "fd00::1", "plain.test.", "192.0.2.7"});
  REQUIRE(proxy);
  CHECK(proxy->url() == "http://proxy.example:3128");
  for (const char* host :
       {"bank.example", "corp.example.org", "notcorp.example", "lab.example", "notlab.example",
        "10.0.0.2", "fd00::2", "1.10.0.0.1", "example", "0.0.0.1"})
    CHECK_MESSAGE(proxy->is_for(host), host);
  for (const char* host :
       {"corp.example", "CORP.example.", "a.b.corp.example", "x.lab.example", "10.0.0.1",
        "fd00:0:0::1", "plain.test", "127.0.0.1", "::1", "localhost", "db.localhost", "192.0.2.7"})
    CHECK_MESSAGE(!proxy->is_for(host), host);
}

TEST_CASE("a proxy of the node and its exceptions are of one form") {
  for (const char* url : {"http://proxy.example", "http://10.0.0.1:3128/", "http://[fd00::1]:3128"})
    CHECK_MESSAGE(EgressProxy::of(url, {}), url);
  for (const char* url :
       {"https://proxy.example", "proxy.example:3128", "http://u:pass@p.example",
        "http://proxy.example/path", "http://", "http://p.example:0", "socks5://p"}) {
    const auto refused = EgressProxy::of(url, {});
    CHECK_MESSAGE(!refused, url);
    if (!refused) CHECK(refused.error().message.find("pass@") == std::string::npos);
  }
  for (const char* host : {"", ".", "*", "*.corp.example", "10.0.0.0/8", "corp.example:443",
                           "http://corp.example", "[fd00::1]", "a b"})
    CHECK_MESSAGE(!EgressProxy::of("http://proxy.example", {host}), host);
}

}  // namespace
}  // namespace backstitch::test
