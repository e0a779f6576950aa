import { networkOf } from '../../core/limits/network.ts'
import type { Keyring } from '../../core/ports.ts'
import { DAY_MS } from '../../core/time.ts'

/**
 * Names the network that a request comes from in its log line, so that an operator can count by it: a MAC, which says
 * nothing of the address and is another one each day (UTC). A function without the deployment's secret names none.
 */
export function sourceName(
  ports: { keyring?: Keyring },
  address: string,
  nowMs: number,
): { source?: string } {
  const { keyring } = ports
  if (!keyring) return {}
  const day = String(Math.floor(nowMs / DAY_MS))
  return { source: keyring.mac('mac:log-source', day, networkOf(address)).toString('hex').slice(0, 12) }
}
