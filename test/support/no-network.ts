import net from 'node:net'

/**
 * Tests can connect to loopback only; any other connection fails at once. The exception is a contract suite
 * that these environment variables point at the real service.
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

// This runs before each test file, and test files may share a process.
if (!mayLeave && connect.name !== connectToLoopback.name) {
  net.Socket.prototype.connect = connectToLoopback as typeof connect
}
