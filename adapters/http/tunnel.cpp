#include "tunnel.hpp"

#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

#include "exchange.hpp"
#include "status_line.hpp"

namespace backstitch::http {
namespace {

namespace net = boost::asio;
namespace wire = boost::beast::http;
using boost::system::error_code;

constexpr std::uint32_t header_bytes_max = 16 * 1024;
constexpr int interim_answers_max = 10;
constexpr int proxy_authentication_required = 407;

struct Opening : std::enable_shared_from_this<Opening> {
  Opening(net::ip::tcp::socket& on, std::string proxy_name, std::string bytes,
          std::function<void(const std::string&)> call_back)
      : socket(on),
        proxy(std::move(proxy_name)),
        request(std::move(bytes)),
        done(std::move(call_back)) {}

  void write() {
    net::async_write(socket, net::buffer(request),
                     [self = shared_from_this()](const error_code& failed, std::size_t) {
                       failed ? self->fail(" ended the connection: " + failed.message())
                              : self->read();
                     });
  }

  void read() {
    parser.emplace();
    parser->header_limit(header_bytes_max);
    wire::async_read_header(socket, buffer, *parser,
                            [self = shared_from_this()](const error_code& failed, std::size_t) {
                              self->on_read(failed);
                            });
  }

  void on_read(const error_code& failed) {
    if (failed == wire::error::bad_status && mend_status_line(buffer)) return read();
    if (failed) return fail(" gave no answer to CONNECT: " + failed.message());
    const int status = static_cast<int>(parser->get().result_int());
    const bool is_interim =
        status < 200 && status != static_cast<int>(wire::status::switching_protocols);
    if (is_interim && ++interim_answers <= interim_answers_max) return read();
    if (status < 200 || status >= 300) return refused(status);
    // TLS begins with the client, so this is not the target's.
    if (buffer.size() > 0) return fail(" sent bytes of its own after its answer to CONNECT");
    done({});
  }

  void refused(int status) {
    const bool wants_credentials = status == proxy_authentication_required;
    fail(" answered CONNECT with " + std::to_string(status) +
         (wants_credentials ? ": it does not accept the credentials, see `proxyAuth`" : ""));
  }

  void fail(const std::string& what) { done(proxy + what); }

  net::ip::tcp::socket& socket;
  const std::string proxy;
  const std::string request;
  const std::function<void(const std::string&)> done;
  boost::beast::flat_buffer buffer{2 * header_bytes_max};
  std::optional<wire::response_parser<wire::empty_body>> parser;
  int interim_answers = 0;
};

}  // namespace

void open_tunnel(net::ip::tcp::socket& socket, const Target& target,
                 const std::string& authorization, std::function<void(const std::string&)> done) {
  std::make_shared<Opening>(socket, target.peer_name(target.peer().authority),
                            write_connect(target.url, authorization), std::move(done))
      ->write();
}

}  // namespace backstitch::http
