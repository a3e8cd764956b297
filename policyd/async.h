// Asio's types as we use them: coroutines on one io_context in one thread, without the cost of
// executors whose type is only known at run time.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/basic_socket_acceptor.hpp>
#include <asio/basic_stream_socket.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>

namespace forcetls {

using Executor = asio::io_context::executor_type;

template <class T>
using Task = asio::awaitable<T, Executor>;

/// co_await ... (kAwait) gives a tuple that begins with an error code: nothing throws.
constexpr auto kAwait = asio::experimental::as_tuple(asio::use_awaitable_t<Executor>{});

/// unix and TCP alike.
using Socket = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;
using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol, Executor>;

}  // namespace forcetls
