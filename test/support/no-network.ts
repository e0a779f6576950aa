import net from 'node:net'

/**
 * Tests reach loopback and nothing else: a connection to anywhere else fails at once. Only a contract suite that
 * was pointed at the real service by its environment variables may go there.
 */
const REAL_SERVICES = [
  'COGNITO_USER_POOL_ID',
  'SES_CONTRACT_FROM',
  'KMS_CONTRACT_KEY_ARN',
  'STRIPE_SECRET_KEY',
]
const mayLeave = REAL_SERVICES.some((name) => process.env[name])
const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])
const { connect } = net.Socket.prototype

function connectToLoopback(this: net.Socket, ...args: unknown[]) {
  const [first] = (Array.isArray(args[0]) ? args[0] : args) as [unknown, unknown]
  const host = typeof first === 'object' && first !== null && 'host' in first ? first.host : undefined
  if (host !== undefined && !LOOPBACK.has(String(host))) {
    throw new Error(`a test tried to reach ${String(host)}`)
  }
  return Reflect.apply(connect, this, args)
}

// Files may share a process, in which this runs before each of them.
if (!mayLeave && connect.name !== connectToLoopback.name) {
  net.Socket.prototype.connect = connectToLoopback as typeof connect
}
