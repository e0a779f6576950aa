/**
 * Loaded before a container's own code: every connection to a service goes to the stand-ins, with TLS and the name of
 * the service unchanged, so that the code, its settings and its checks of certificates are those of a deployment.
 */
import net from 'node:net'

const { connect } = net.Socket.prototype

net.Socket.prototype.connect = function (...args) {
  const [first] = Array.isArray(args[0]) ? args[0] : args
  if (typeof first === 'object' && first?.host && first.host !== '127.0.0.1') {
    const there = { ...first, host: '127.0.0.1', port: Number(process.env.STAND_INS_PORT), lookup: undefined }
    if (Array.isArray(args[0])) args[0][0] = there
    else args[0] = there
  }
  return Reflect.apply(connect, this, args)
}
