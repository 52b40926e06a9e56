//! What clients ask with: lists of blocks, conditions and paths of `OData`, headers. What is refused is refused in a sentence; what is taken
//! means the same however it is written.

use tranship::domain::dmf::{BlobPath, Tags};
use tranship::domain::trace::TraceContext;
use tranship::http::dmf::listed_blocks;
use tranship::http::odata::{address, judge};
use tranship::http::query::{Query, encoded, path_decoded};

use crate::fuzz;

#[test]
fn block_lists() {
    let seeds = [
        "\u{feff}<?xml version='1.0' encoding='utf-8'?>\n<BlockList>\n <Latest>YQ==</Latest><Uncommitted> Yg== </Uncommitted>\
         <!-- a word --><Committed>YQ==</Committed></BlockList>\n",
        "<BlockList/>",
        "<BlockList><Latest>QmxvY2sgMDAwMDE=</Latest><Latest>QmxvY2sgMDAwMDI=</Latest></BlockList>",
    ];
    fuzz(
        "block-list",
        &seeds.map(|seed| seed.as_bytes().to_vec()),
        |body, _| match listed_blocks(body) {
            Ok(ids) => {
                let listed = |list: String, id: &String| list + "<Latest>" + id + "</Latest>";
                let list = ids.iter().fold(String::new(), listed);
                let again = listed_blocks(format!("<BlockList>{list}</BlockList>").as_bytes());
                assert_eq!(again, Ok(ids), "an id is always the same text");
            }
            Err(why) => assert!(!why.is_empty() && why.len() < 4096, "{why}"),
        },
    );
}

#[test]
fn conditions() {
    let seeds = [
        "EntityName eq 'It''s ü'",
        "entityname eq 'x' and (StagingStatus eq Microsoft.Dynamics.DataEntities.DMFBatchJobStatus'Finished' or not (JobId ne null))",
        "contains(tolower(EntityName),'or') or startswith(JobId,'O') and endswith(FilePath, 's')",
        "'x' eq JobId and SequenceNumber ge 4 and 6 gt SequenceNumber",
        "not not not (JobId gt 'a')",
        "StagingStartDateTime gt 2026-01-05T08:00:00+01:00 or StagingEndDateTime le '2026-01-05T08:00:00Z'",
    ];
    fuzz(
        "filter",
        &seeds.map(|seed| seed.as_bytes().to_vec()),
        |bytes, chance| {
            let (text, functions) = (String::from_utf8_lossy(bytes), chance.one_in(2));
            match judge(&text, functions) {
                Ok(holds) => {
                    // It may stand deeper than it may, or be longer.
                    if let Ok(denied) = judge(&format!("not ({text})"), functions) {
                        assert_ne!(holds, denied, "{text}");
                    }
                    if let Ok(either) = judge(&format!("({text}) or ({text})"), functions) {
                        assert_eq!(holds, either, "{text}");
                    }
                }
                Err(why) => assert!(!why.is_empty()),
            }
        },
    );
}

#[test]
fn addresses() {
    let seeds = [
        "DataManagementDefinitionGroups('a/b)''c')/Details",
        "DataManagementDefinitionGroupDetails(DefinitionGroupId='X',EntityName='Customers')",
        "DataManagementExecutionJobs(JobId='x')/$count",
    ];
    fuzz("address", &seeds.map(|seed| seed.as_bytes().to_vec()), |bytes, _| {
        let text = path_decoded(&String::from_utf8_lossy(bytes));
        match address(&text) {
            Ok(values) => assert!(values.iter().all(|value| value.len() <= text.len())),
            Err(why) => assert!(!why.is_empty()),
        }
    });
}

#[test]
fn queries_and_headers() {
    let seeds = [
        "sv=2021-12-02&sp=rw&se=2026-01-05T08%3A00%3A00Z&sig=a%2Bb%3D",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "W/\"0x8D4BCC2E4835CD0\", \"b\", *",
        "packages/6d31e09f-0249-459f-94f0-aad9c2c47b64/a package.zip",
    ];
    fuzz("query", &seeds.map(|seed| seed.as_bytes().to_vec()), |bytes, _| {
        let text = String::from_utf8_lossy(bytes);
        let query = Query::read(&text);
        let again: Vec<String> = query
            .pairs()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let again = Query::read(&again.join("&"));
        assert!(query.pairs().eq(again.pairs()), "{text}");
        if let Some(trace) = TraceContext::parse(&text) {
            assert_eq!(TraceContext::parse(&trace.to_string()), Some(trace));
        }
        let _ = Tags::read(&text);
        if let Some(path) = BlobPath::read(&text) {
            // Names a row and never a file, but nobody should have to rely on that.
            assert!(!path.to_string().split('/').any(|part| part == ".."), "{text}");
        }
    });
}
