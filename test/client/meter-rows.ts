import type * as z from 'zod/mini'
import type { Balance } from '../../functions/client/meter/spender.ts'
import type { BatchPart } from '../../functions/client/meter/wire.ts'
import type { v1 } from '../../functions/v1/routes.ts'

// What the meter reads is what the rows answer; the compiler says so.
type AnswerOf<Row extends keyof typeof v1, Status extends number> = (typeof v1)[Row] extends {
  responses: Record<Status, infer Schema extends z.ZodMiniType>
}
  ? z.output<Schema>
  : never
export const answers = {
  spend: (answer: AnswerOf<'consume', 200>): Balance => answer,
  part: (answer: AnswerOf<'consumeBatch', 200>['answers'][number]): BatchPart => answer,
  reserve: (answer: AnswerOf<'reserve', 201>): { id: string; units?: number | undefined } => answer,
  settle: (answer: AnswerOf<'settleReservation', 200>): { covered: number; left: number } => answer,
}
