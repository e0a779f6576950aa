import { accessCommands } from './access.ts'
import { adminKeyCommands } from './admin-keys.ts'
import { auditCommands } from './audit.ts'
import { blockCommands } from './blocks.ts'
import type { Commands } from './command.ts'
import { eventEndpointCommands } from './event-endpoints.ts'
import { importCommands } from './import.ts'
import { moneyCommands } from './money.ts'
import { operatorCommands } from './operators.ts'
import { planCommands } from './plans.ts'
import { reportCommands } from './reports.ts'
import { serviceCommands } from './services.ts'

/** Every command, by its words. */
export const commands: Commands = {
  ...accessCommands,
  ...operatorCommands,
  ...reportCommands,
  ...auditCommands,
  ...planCommands,
  ...serviceCommands,
  ...adminKeyCommands,
  ...moneyCommands,
  ...blockCommands,
  ...importCommands,
  ...eventEndpointCommands,
}
