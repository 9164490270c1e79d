#include <cstdlib>
#include <sstream>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

#include "bench_target.hpp"

namespace backstitch::app {
namespace {

namespace beast = boost::beast;
namespace beast_http = beast::http;
using boost::asio::ip::tcp;

struct Place {
  std::string host;
  std::string port;
};

Place place_of(const std::string& server) {
  const auto scheme = server.find("//");
  const std::string authority = server.substr(scheme == std::string::npos ? 0 : scheme + 2);
  const auto colon = authority.rfind(':');
  if (colon == std::string::npos || authority.ends_with(']')) return {authority, "80"};
  return {authority.substr(0, colon), authority.substr(colon + 1)};
}

/// One waited start after the other over one connection, made anew when it breaks.
class PlainConnection {
 public:
  PlainConnection(const client::Options& options, const std::string& definition)
      : place_(place_of(options.server)),
        request_(beast_http::verb::post, "/v1/sagas?wait=30s", 11) {
    request_.set(beast_http::field::host, place_.host);
    request_.set(beast_http::field::content_type, "application/json");
    if (!options.token.empty())
      request_.set(beast_http::field::authorization, "Bearer " + options.token);
    request_.body() = Json{{"definition", definition}, {"input", {{"amount", 1}}}}.dump();
    request_.prepare_payload();
  }

  bool run() {
    try {
      if (!socket_) connect();
      beast_http::write(*socket_, request_);
      beast_http::response<beast_http::string_body> response;
      beast_http::read(*socket_, buffer_, response);
      return response.result() == beast_http::status::created;
    } catch (const boost::system::system_error&) {
      socket_.reset();
      buffer_.clear();
      return false;
    }
  }

 private:
  void connect() {
    socket_.emplace(context_);
    const bool is_literal = place_.host.starts_with('[');
    const std::string host =
        is_literal ? place_.host.substr(1, place_.host.size() - 2) : place_.host;
    boost::asio::connect(*socket_, tcp::resolver(context_).resolve(host, place_.port));
    socket_->set_option(tcp::no_delay(true));
  }

  Place place_;
  beast_http::request<beast_http::string_body> request_;
  boost::asio::io_context context_;
  std::optional<tcp::socket> socket_;
  beast::flat_buffer buffer_;
};

class RestTarget : public BenchTarget {
 public:
  explicit RestTarget(client::Options options) : options_(std::move(options)), client_(options_) {}

  Result<Done> put_service(const std::string& name, const Json& service) override {
    const auto stored = client_.put_service(name, service.dump());
    if (!stored) return stored.error();
    return Done{};
  }

  Result<Done> register_definition(const Json& definition) override {
    const auto registered = client_.register_definition(definition.dump(), true);
    if (!registered) return registered.error();
    return Done{};
  }

  Result<std::map<std::string, double>> counters() override {
    static const std::string prefix = "backstitch_";
    const auto text = client_.metrics();
    if (!text) return text.error();
    std::map<std::string, double> values;
    std::istringstream lines(*text);
    std::string line;
    while (std::getline(lines, line)) {
      const auto space = line.rfind(' ');
      if (line.rfind(prefix, 0) != 0 || space == std::string::npos) continue;
      values[line.substr(prefix.size(), space - prefix.size())] =
          std::strtod(line.c_str() + space, nullptr);
    }
    return values;
  }

  std::size_t start(const std::string& definition, std::size_t count) override {
    const Json one{{"definition", definition}, {"input", {{"amount", 100}}}};
    const auto results = client_.start_batch(Json(count, one));
    std::size_t taken = 0;
    if (results) {
      for (const auto& result : *results) taken += result.value("status", 0) == 201 ? 1 : 0;
    }
    return taken;
  }

  Single single(const std::string& definition) override {
    auto connection = std::make_shared<PlainConnection>(options_, definition);
    return [connection] { return connection->run(); };
  }

 private:
  client::Options options_;
  client::Client client_;
};

}  // namespace

std::unique_ptr<BenchTarget> rest_target(const client::Options& options) {
  return std::make_unique<RestTarget>(options);
}

}  // namespace backstitch::app
