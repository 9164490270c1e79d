#include "bench_probe.hpp"

#include <chrono>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace backstitch::app {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::asio::ip::tcp;
using Steady = std::chrono::steady_clock;

struct Place {
  std::string host;
  std::string port;
};

Place place_of(const std::string& server) {
  const std::string authority =
      server.substr(server.find("//") == std::string::npos ? 0 : server.find("//") + 2);
  const auto colon = authority.rfind(':');
  if (colon == std::string::npos) return {authority, "80"};
  return {authority.substr(0, colon), authority.substr(colon + 1)};
}

}  // namespace

Probe::Probe(std::string server, std::string token, std::string definition)
    : server_(std::move(server)), token_(std::move(token)), definition_(std::move(definition)) {
  thread_ = std::thread([this] { run(); });
}

Probe::~Probe() {
  stop();
}

void Probe::measure() {
  measuring_ = true;
}

std::vector<double> Probe::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  return std::move(latencies_);
}

void Probe::run() {
  while (!stopping_) {
    try {
      run_connected();
    } catch (const boost::system::system_error&) {
      // A server that is overloaded or away: connect again. What is missing shows in the figures.
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
}

void Probe::run_connected() {
  const Place place = place_of(server_);
  boost::asio::io_context context;
  tcp::socket socket(context);
  boost::asio::connect(socket, tcp::resolver(context).resolve(place.host, place.port));
  socket.set_option(tcp::no_delay(true));
  http::request<http::string_body> request(http::verb::post, "/v1/sagas?wait=30s", 11);
  request.set(http::field::host, place.host);
  request.set(http::field::content_type, "application/json");
  if (!token_.empty()) request.set(http::field::authorization, "Bearer " + token_);
  request.body() = R"({"definition":")" + definition_ + R"(","input":{"amount":1}})";
  request.prepare_payload();
  beast::flat_buffer buffer;
  while (!stopping_) {
    const auto began = Steady::now();
    http::write(socket, request);
    http::response<http::string_body> response;
    http::read(socket, buffer, response);
    const auto time = std::chrono::duration<double, std::milli>(Steady::now() - began);
    if (measuring_ && response.result() == http::status::created)
      latencies_.push_back(time.count());
  }
}

}  // namespace backstitch::app
