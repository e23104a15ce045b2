import { alibabaBlock, blkparse } from './block.ts';
import type { TraceFormat } from './format.ts';
import { ids } from './ids.ts';
import { lcs } from './lcs.ts';
import { oracleGeneral } from './oracle-general.ts';

/** Every format but our own two (the Arrow stream, and the CSV of traces/FORMAT.md), by name. */
export const TRACE_FORMATS: readonly TraceFormat[] = [oracleGeneral, lcs, ids, alibabaBlock, blkparse];
