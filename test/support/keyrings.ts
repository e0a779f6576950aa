import { openKeyring } from '../../core/adapters/keyring.ts'
import type { Keyring } from '../../core/ports.ts'
import { PURPOSES } from '../../core/purposes.ts'
import { keysTextOf } from '../../functions/deploy/root-secret.ts'

/** A keyring with every key of a root secret, or of two with a comma between. */
export const keyringOf = (rootSecret: string): Keyring => openKeyring(keysTextOf(rootSecret, PURPOSES))
