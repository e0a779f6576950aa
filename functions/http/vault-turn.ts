import { vaultForCustomers, vaultForStrangers } from '../../core/limits/vault-turn.ts'
import type { Ports } from '../../core/ports.ts'
import type { Row } from './route.ts'

/** Gives a row's callers their turn at the vault. Bundles of rows that do not call it leave this function out. */
export function takeTurns<P extends Partial<Ports>>(row: Row, ports: P): P {
  const { identity, clock } = ports
  if (!identity || !clock) return ports
  const isForStrangers =
    row.auth === 'public' && row.guards?.some((guard) => guard === 'password' || guard === 'signup')
  return { ...ports, identity: (isForStrangers ? vaultForStrangers : vaultForCustomers)(identity, clock) }
}
